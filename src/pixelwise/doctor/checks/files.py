"""Single files: damaged, called wrongly, animated, lossy, transparent, hidden."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pixelwise.data.listing import is_hidden
from pixelwise.doctor.container import suits
from pixelwise.doctor.facts import MaskFacts, PairFacts, PictureFacts
from pixelwise.doctor.finding import Finding, Severity, counted
from pixelwise.doctor.pairing import ARCHIVES
from pixelwise.doctor.seen import Seen
from pixelwise.language import message

CLEAR = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})


def check_files(seen: Seen) -> list[Finding]:
    """All of them."""
    return [*_pictures(seen), *_masks(seen), *_passed_over(seen)]


def _pictures(seen: Seen) -> Iterator[Finding]:
    everything = len(seen.pictures())

    def told(
        severity: Severity,
        key: str,
        which: Callable[[PictureFacts], object],
        what: str,
        remedy: str,
    ) -> Iterator[Finding]:
        hits = [facts for facts, _ in seen.pictures(which)]
        if hits:
            text = f"{len(hits)} of {counted(everything, 'picture')} {what}"
            yield Finding(severity, key, text, remedy, seen.picture_names(hits))

    yield from told(
        "stop", "picture-animated", lambda p: p.container.frames > 1 and p.error,
        message("hold several frames"), message("save the frame that is meant"),
    )  # fmt: skip
    yield from _refused(seen, "picture", [
        (facts, p.error) for facts, p in seen.pictures(lambda p: p.error and p.container.frames < 2)
    ])  # fmt: skip
    yield from told(
        "warn",
        "picture-cmyk",
        lambda p: p.container.mode == "CMYK",
        message("are CMYK, whose colours are only roughly those that were printed"),
        message("convert them to RGB"),
    )
    clear = [p for _, p in seen.pictures(lambda p: p.container.mode in CLEAR)]
    hidden = any(p.missing > 0 for p in clear)
    yield from told(
        "warn" if hidden else "note",
        "picture-alpha",
        lambda p: p.container.mode in CLEAR,
        message("have transparency")
        + (message("; fully transparent pixels do not count") if hidden else ""),
        message("save them as RGB, unless transparent pixels are to be ignored"),
    )
    yield from told(
        "warn", "picture-nan", lambda p: p.nan > 0,
        message("hold NaN or infinite values, which do not count"),
        message("fill them, unless they mean no data"),
    )  # fmt: skip
    yield from told(
        "warn", "picture-empty", lambda p: not p.error and p.missing == 1,
        message("have no pixel with data"), message("remove them, or look at `nodata`"),
    )  # fmt: skip
    yield from told(
        "warn", "picture-constant", lambda p: not p.error and p.missing < 1 and p.low == p.high,
        message("are of one colour"), message("remove them, or look how they were saved"),
    )  # fmt: skip
    wrong = [f for f, p in seen.pictures() if not suits(p.container, f.picture_name)]
    yield from _misnamed(seen, "picture", wrong, seen.picture_names(wrong))


def _misnamed(
    seen: Seen, what: str, wrong: Sequence[PairFacts], names: tuple[str, ...]
) -> Iterator[Finding]:
    if wrong:
        kinds = {(f.picture if what == "picture" else f.mask).container.format for f in wrong}  # type: ignore[union-attr]
        text = message(
            "{counted} {join}, which the names do not say; they are read nevertheless",
            counted=counted(len(wrong), f"{what} holds"),
            join=" or ".join(sorted(kinds)),
        )
        yield Finding("warn", f"{what}-suffix", text, message("rename them"), names)


def _refused(seen: Seen, what: str, errors: Sequence[tuple[PairFacts, str]]) -> Iterator[Finding]:
    if not errors:
        return
    is_picture = what == "picture"
    everything = len(seen.pictures() if is_picture else seen.masks())
    facts = [f for f, _ in errors]
    reason, _, remedy = errors[0][1].rpartition("; ")
    yield Finding(
        "stop",
        f"{what}-unreadable",
        message(
            "{errors} of {counted} cannot be read, the first: ",
            errors=len(errors),
            counted=counted(everything, what),
        )
        + (reason or errors[0][1]),
        remedy if reason else message("replace them"),
        seen.picture_names(facts) if is_picture else seen.mask_names(facts),
    )


def _masks(seen: Seen) -> Iterator[Finding]:
    everything = counted(len(seen.masks()), "mask")

    def told(
        key: str, hits: Sequence[PairFacts], what: str, remedy: str, severity: Severity = "stop"
    ) -> Iterator[Finding]:
        if hits:
            text = f"{len(hits)} of {everything} {what}"
            yield Finding(severity, key, text, remedy, seen.mask_names(hits))

    lossy = [f for f, m in seen.masks(lambda m: m.container.lossy)]
    yield from told(
        "mask-lossy", lossy,
        message("are JPEG or lossy WebP, which blurs ids along every border"),
        message("draw or export them anew as PNG; no map can mend them"),
    )  # fmt: skip
    animated = (
        [] if seen.reading.numbers else [f for f, m in seen.masks(lambda m: m.container.frames > 1)]
    )
    yield from told(
        "mask-animated",
        animated,
        message("hold several frames"),
        message("save the frame that is meant"),
    )
    rest = [(f, m) for f, m in seen.masks(lambda m: m.error) if f not in (*lossy, *animated)]
    floats = [f for f, m in rest if m.dtype.startswith("float")]
    yield from told(
        "mask-float",
        floats,
        message("hold floats, not whole numbers"),
        message("save them with 8 or 16 bits; if they are measurements, name them under `values:`"),
    )
    alpha = [f for f, m in rest if _labels_in_alpha(m)]
    yield from told(
        "mask-alpha", alpha, message("have their labels in the transparency, below one colour"),
        message("save the transparency as grey values"),
    )  # fmt: skip
    others = [(f, m.error) for f, m in rest if f not in (*floats, *alpha)]
    yield from _refused(seen, "mask", others)
    wrong = [
        f for f, m in seen.masks(lambda m: not m.container.lossy)
        if not suits(m.container, f.mask_name)
    ]  # fmt: skip
    yield from _misnamed(seen, "mask", wrong, seen.mask_names(wrong))


def _labels_in_alpha(mask: MaskFacts) -> bool:
    return mask.container.mode in CLEAR and "transparency varies" in mask.error


def _passed_over(seen: Seen) -> Iterator[Finding]:
    hidden = [f"{folder}/{p}" for folder, listing in seen.listings.items() for p in listing.hidden]
    hidden += [str(file) for file in _beside(seen.subject.root) if is_hidden(Path(file.name))]
    if hidden:
        names = tuple(map(seen.subject.told, hidden))
        text = message(
            "{counted} hidden or a tool's own, passed over", counted=counted(len(hidden), "file is")
        )
        yield Finding(
            "note", "hidden-files", text, message("remove them where they are copies"), names
        )
    archives = [
        f"{folder}/{p}" for folder, listing in seen.listings.items() for p in listing.archives
    ]
    archives += [
        str(file) for file in _beside(seen.subject.root) if file.suffix.lower() in ARCHIVES
    ]
    if archives:
        text = message(
            "{counted} there, passed over", counted=counted(len(archives), "archive lies")
        )
        names = tuple(map(seen.subject.told, sorted(set(archives))))
        yield Finding("note", "archives", text, message("unpack what is not unpacked yet"), names)
    foreign = [
        f"{folder}/{p}" for folder, listing in seen.listings.items() for p in listing.foreign
    ]
    read = [name for f in seen.facts for name in (f.picture_name, f.mask_name) if name]
    known = {str(Path(name).with_suffix("")) for name in read}
    foreign = [name for name in foreign if str(Path(name).with_suffix("")) not in known]
    if foreign:
        told = tuple(map(seen.subject.told, foreign))
        text = message(
            "{counted} of kinds that are not read, passed over",
            counted=counted(len(foreign), "file"),
        )
        yield Finding(
            "warn", "foreign-files", text, message("convert them to PNG, or remove them"), told
        )


def _beside(root: Path) -> list[Path]:
    """What lies in the data set's folder itself."""
    return sorted(root.iterdir()) if root.is_dir() else []
