"""Pictures without masks, masks without pictures, and names that almost fit."""

from collections.abc import Iterator, Sequence

from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.pairing import as_masks
from pixelwise.doctor.seen import Seen


def check_names(seen: Seen) -> list[Finding]:
    """All of them, split by split."""
    patterns = {pairs.pattern for pairs in seen.pairs.values()}
    alike = len(patterns) == 1  # one `masks:` is for all splits
    found = [finding for split in seen.splits for finding in _split(seen, split, alike=alike)]
    return [*check_splits(seen.splits), *found, *_alike(seen)]


def check_splits(splits: Sequence[str]) -> Iterator[Finding]:
    """The splits without which no network is trained."""
    for split, use in (("train", "trains on"), ("val", "is scored on")):
        if split not in splits:
            yield Finding(
                "stop",
                f"no-{split}",
                f"there is no {split!r} split, which a network {use}",
                f"put pictures aside for it, and add `{split}: <folder>`",
            )


def _split(seen: Seen, split: str, *, alike: bool) -> Iterator[Finding]:
    pairs, subject = seen.pairs[split], seen.subject
    told = [subject.told(file) for file in pairs.otherwise]
    folder = subject.folders[split][0]
    if not (pairs.pairs or pairs.lacking):
        yield Finding(
            "stop", "split-empty", f"{split!r} has no picture in {subject.told(folder)}",
            "check the folder, and `masks:` if it says which pictures are meant",
        )  # fmt: skip
    if told and pairs.pattern is not None:
        says = as_masks(pairs.pattern)
        whole = alike and len(told) >= len(pairs.pairs)
        yield Finding(
            "stop",
            "names-differ",
            f"{len(told)} of {counted(len(pairs.pairs), 'mask')} of {split!r} {_are(told)} called"
            f" otherwise than the picture, by {says!r}",
            f"write masks: {says!r} into data.yaml" if whole else "rename them like the others",
            tuple(told),
            {"masks": says} if whole else None,
        )
    elif told:
        yield Finding(
            "stop",
            "names-case",
            f"{len(told)} of {counted(len(pairs.pairs), 'mask')} of {split!r} {_are(told)} called"
            " like the picture but for capital letters, leading zeros, spaces, accents or the"
            " subfolder",
            "rename the masks exactly like their pictures",
            tuple(told),
        )
    if pairs.lacking:
        number = len(pairs.lacking)
        yield Finding(
            "stop",
            "mask-missing",
            f"{number} of {number + len(pairs.pairs)} pictures of {split!r}"
            f" {'has' if number == 1 else 'have'} no mask",
            "draw their masks, or move the pictures out of the folder",
            tuple(map(subject.told, pairs.lacking)),
        )
    if pairs.several:
        yield Finding(
            "stop",
            "mask-several",
            f"{len(pairs.several)} of the pictures of {split!r} with more than one mask",
            "keep one of them",
            tuple(subject.told(m) for masks in pairs.several.values() for m in masks),
        )
    if pairs.shared:
        yield Finding(
            "stop",
            "mask-shared",
            f"{len(pairs.shared)} of the pictures of {split!r} with the same mask as another",
            "rename or remove one of the pictures",
            tuple(map(subject.told, pairs.shared)),
        )
    if pairs.orphans:
        pictures = len(pairs.pairs) + len(pairs.lacking)
        yield Finding(
            "warn" if 4 * len(pairs.orphans) > pictures or pairs.lacking else "note",
            "mask-orphan",
            f"{len(pairs.orphans)} of the masks of {split!r} without a picture",
            "add their pictures, or remove them",
            tuple(map(subject.told, pairs.orphans)),
        )
    odd = [m for m in pairs.odd if m.suffix.lower() not in {".jpg", ".jpeg", ".webp"}]
    misnamed = [m for m in pairs.odd if m not in odd]
    lossless = {f.mask_name for f, m in seen.masks(lambda m: not m.container.lossy)}
    odd += [m for m in misnamed if str(m) in lossless]
    if odd:
        yield Finding(
            "stop",
            "mask-format",
            f"{len(odd)} of the masks of {split!r} called {odd[0].suffix}, under which none are"
            " looked for",
            "save them as PNG",
            tuple(map(subject.told, odd)),
        )


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _alike(seen: Seen) -> Iterator[Finding]:
    """Classes whose names differ in capitals and spaces only."""
    config = seen.subject.config
    if config is None or config.quantities:
        return
    plain = [" ".join(name.lower().replace("_", " ").split()) for name in config.classes.names]
    twice = [n for n, p in zip(config.classes.names, plain, strict=True) if plain.count(p) > 1]
    if twice:
        yield Finding(
            "warn",
            "names-alike",
            f"the classes {', '.join(map(repr, twice))} have nearly the same name",
            "rename them, or map both to one class",
        )
