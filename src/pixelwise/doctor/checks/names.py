"""Pictures without masks, masks without pictures, and names that almost fit."""

from collections.abc import Iterator, Sequence

from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.pairing import as_masks
from pixelwise.doctor.seen import Seen
from pixelwise.language import message


def check_names(seen: Seen) -> list[Finding]:
    """All of them, split by split."""
    patterns = {pairs.pattern for pairs in seen.pairs.values()}
    alike = len(patterns) == 1  # one `masks:` is for all splits
    found = [finding for split in seen.splits for finding in _split(seen, split, alike=alike)]
    return [*check_splits(seen.splits), *found, *_alike(seen)]


def check_splits(splits: Sequence[str]) -> Iterator[Finding]:
    """The splits without which no network is trained."""
    for split, use in (("train", message("trains on")), ("val", message("is scored on"))):
        if split not in splits:
            yield Finding(
                "stop",
                f"no-{split}",
                message("there is no {split!r} split, which a network {use}", split=split, use=use),
                message("put pictures aside for it, and add `{split}: <folder>`", split=split),
            )


def _split(seen: Seen, split: str, *, alike: bool) -> Iterator[Finding]:
    pairs, subject = seen.pairs[split], seen.subject
    told = [subject.told(file) for file in pairs.otherwise]
    folder = subject.folders[split][0]
    if not (pairs.pairs or pairs.lacking):
        yield Finding(
            "stop",
            "split-empty",
            message("{split!r} has no picture in {told}", split=split, told=subject.told(folder)),
            message("check the folder, and `masks:` if it says which pictures are meant"),
        )
    if told and pairs.pattern is not None:
        says = as_masks(pairs.pattern)
        whole = alike and len(told) >= len(pairs.pairs)
        yield Finding(
            "stop",
            "names-differ",
            message(
                "{told} of {counted} of {split!r} {are} called otherwise than the"
                " picture, by {says!r}",
                told=len(told),
                counted=counted(len(pairs.pairs), "mask"),
                split=split,
                are=_are(told),
                says=says,
            ),
            message("write masks: {says!r} into data.yaml", says=says)
            if whole
            else message("rename them like the others"),
            tuple(told),
            {"masks": says} if whole else None,
        )
    elif told:
        yield Finding(
            "stop",
            "names-case",
            message(
                "{told} of {counted} of {split!r} {are} called like the picture but for"
                " capital letters, leading zeros, spaces, accents or the subfolder",
                told=len(told),
                counted=counted(len(pairs.pairs), "mask"),
                split=split,
                are=_are(told),
            ),
            message("rename the masks exactly like their pictures"),
            tuple(told),
        )
    if pairs.lacking:
        number = len(pairs.lacking)
        yield Finding(
            "stop",
            "mask-missing",
            message(
                "{amount} of {amount2} pictures of {split!r} {verb} no mask",
                amount=number,
                amount2=number + len(pairs.pairs),
                split=split,
                verb=message("has") if number == 1 else message("have"),
            ),
            message("draw their masks, or move the pictures out of the folder"),
            tuple(map(subject.told, pairs.lacking)),
        )
    if pairs.several:
        yield Finding(
            "stop",
            "mask-several",
            message(
                "{several} of the pictures of {split!r} with more than one mask",
                several=len(pairs.several),
                split=split,
            ),
            message("keep one of them"),
            tuple(subject.told(m) for masks in pairs.several.values() for m in masks),
        )
    if pairs.shared:
        yield Finding(
            "stop",
            "mask-shared",
            message(
                "{shared} of the pictures of {split!r} with the same mask as another",
                shared=len(pairs.shared),
                split=split,
            ),
            message("rename or remove one of the pictures"),
            tuple(map(subject.told, pairs.shared)),
        )
    if pairs.orphans:
        pictures = len(pairs.pairs) + len(pairs.lacking)
        yield Finding(
            "warn" if 4 * len(pairs.orphans) > pictures or pairs.lacking else "note",
            "mask-orphan",
            message(
                "{orphans} of the masks of {split!r} without a picture",
                orphans=len(pairs.orphans),
                split=split,
            ),
            message("add their pictures, or remove them"),
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
            message(
                "{odd} of the masks of {split!r} called {suffix}, under which none are looked for",
                odd=len(odd),
                split=split,
                suffix=odd[0].suffix,
            ),
            message("save them as PNG"),
            tuple(map(subject.told, odd)),
        )


def _are(names: Sequence[str]) -> str:
    return message("is") if len(names) == 1 else message("are")


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
            message(
                "the classes {join} have nearly the same name", join=", ".join(map(repr, twice))
            ),
            message("rename them, or map both to one class"),
        )
