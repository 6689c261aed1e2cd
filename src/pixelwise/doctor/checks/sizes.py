"""Sizes of pictures and masks, bands, and types of values."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from pixelwise.data.decoded import WHITES
from pixelwise.data.fitting import PADDED, Expected, Range
from pixelwise.doctor.facts import PairFacts, PictureFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen
from pixelwise.errors import InputError
from pixelwise.language import as_message, joined, message

APART = 30
"""Times that the highest values of two groups of pictures differ, if their scales do."""
DARK = 8
"""The highest value of a picture of 8 bits that was scaled wrongly, at most."""


def check_sizes(seen: Seen) -> list[Finding]:
    """Pictures and masks of a pair."""
    exif, swapped, differ, words = [], [], [], ""
    for facts in seen.facts:
        picture, mask = facts.picture, facts.mask
        if picture is None or mask is None or not (picture.height and mask.height):
            continue
        shown, own = (picture.height, picture.width), (mask.height, mask.width)
        if shown == own:
            continue
        if picture.container.orientation > 1 and own == picture.container.stored:
            exif.append(facts)
        elif own == shown[::-1]:
            swapped.append(facts)
        else:
            differ.append(facts)
            words = words or message(
                "{own} x {own2} against {shown} x {shown2}",
                own=own[0],
                own2=own[1],
                shown=shown[0],
                shown2=shown[1],
            )
    found = []
    if exif:
        found.append(
            Finding(
                "stop",
                "exif-turned",
                message(
                    "{counted} shown turned, as EXIF says, but {what} unturned",
                    counted=counted(len(exif), "picture is"),
                    what=message("its mask fits it")
                    if len(exif) == 1
                    else message("their masks fit them"),
                ),
                message(
                    "turn the masks likewise, or remove the EXIF entry and draw on what is"
                    " shown then"
                ),
                seen.picture_names(exif),
            )
        )
    if swapped:
        found.append(
            Finding(
                "stop",
                "mask-turned",
                message(
                    "{counted} the height of the picture as width",
                    counted=counted(len(swapped), "mask has"),
                ),
                message("turn them{way}", way=_way(swapped)),
                seen.mask_names(swapped),
            )
        )
    if differ:
        found.append(
            Finding(
                "stop",
                "sizes-differ",
                message(
                    "{counted} another size than the picture, the first {words} (height x width)",
                    counted=counted(len(differ), "mask has"),
                    words=words,
                ),
                _remedy(differ),
                seen.mask_names(differ),
            )
        )
    return found


def _way(facts: list[PairFacts]) -> str:
    """By how much, where borders and edges tell."""
    votes: Counter[str] = Counter()
    for item in facts:
        if item.fit is not None and item.fit.scores:
            votes[max(item.fit.scores, key=lambda how: item.fit.scores[how])] += 1  # type: ignore[union-attr]
    if not votes:
        return message(" by 90 degrees, to the left or to the right")
    how, number = votes.most_common(1)[0]
    return (
        message(" back: most fit {how}", how=as_message(how))
        if 2 * number > len(facts)
        else message(" by 90 degrees")
    )


def _remedy(facts: list[PairFacts]) -> str:
    first = facts[0]
    assert first.picture is not None
    assert first.mask is not None
    high = first.mask.height / first.picture.height
    wide = first.mask.width / first.picture.width
    if abs(high / wide - 1) < 0.02:
        return message("resize the masks by nearest neighbour, or the pictures")
    return message("look for what was cut off, and make them equal")


def check_bands(seen: Seen) -> list[Finding]:
    """Bands and types that are to be alike in all pictures."""
    good = seen.pictures(lambda p: not p.error)
    return [
        *_bands(seen, good),
        *_types(seen, good),
        *_sentinels(seen),
        *_ranges(seen, good),
        *_scales(seen, good),
    ]


def _bands(seen: Seen, good: list[tuple[PairFacts, PictureFacts]]) -> Iterator[Finding]:
    config = seen.subject.config
    numbers = Counter(p.bands for _, p in good)
    if config is not None and config.bands is not None:
        most = max(config.bands) + 1
        short = [f for f, p in good if p.bands + (p.container.mode in {"RGBA", "LA"}) < most]
        if short:
            text = message(
                "{counted} fewer than {most} bands",
                counted=counted(len(short), "picture has"),
                most=most,
            )
            yield Finding(
                "stop", "bands-differ", text, message("correct `bands`"), seen.picture_names(short)
            )
        return
    if len(numbers) < 2:
        return
    usual = numbers.most_common(1)[0][0]
    others = [f for f, p in good if p.bands != usual]
    listed = joined(
        ", ",
        (
            message("{count} have {bands}", count=count, bands=bands)
            for bands, count in numbers.most_common()
        ),
    )
    if set(numbers) == {1, 3}:
        text = message(
            "pictures of 1 and of 3 bands are mixed: {listed}; grey becomes colour", listed=listed
        )
        yield Finding(
            "note", "grey-and-colour", text, message("nothing"), seen.picture_names(others)
        )
        return
    fewest = min(numbers)
    yield Finding(
        "stop",
        "bands-differ",
        message("pictures have different bands: {listed}", listed=listed),
        message(
            "choose those that all have with `bands: {what}`, or convert the others",
            what=[*range(fewest)],
        ),
        seen.picture_names(others),
        {"bands": [*range(fewest)]},
    )


def _types(seen: Seen, good: list[tuple[PairFacts, PictureFacts]]) -> Iterator[Finding]:
    config = seen.subject.config
    if config is not None and config.scale is not None:
        return
    whites = Counter(WHITES.get(p.dtype, 1.0) for _, p in good)
    if len(whites) > 1:
        usual = whites.most_common(1)[0][0]
        others = [(f, p) for f, p in good if WHITES.get(p.dtype, 1.0) != usual]
        types = Counter(p.dtype for _, p in good)
        listed = ", ".join(f"{count} {dtype}" for dtype, count in types.most_common())
        yield Finding(
            "stop",
            "types-differ",
            message("pictures hold values of different types: {listed}", listed=listed),
            message("convert them to one type, or state the raw value of white as `scale:`"),
            seen.picture_names([f for f, _ in others]),
        )
    deep = [(f, p) for f, p in good if p.dtype == "uint16"]
    top = max((p.high for _, p in deep), default=0)
    if deep and 0 < top < PADDED and len(whites) == 1:
        white = 2 ** max(8, int(top).bit_length()) - 1
        yield Finding(
            "note",
            "white-unclear",
            message("16-bit pictures reach only {top:g}", top=top),
            message("if white is {white}, write scale: {white}", white=white),
            repair=None,
        )


def _sentinels(seen: Seen) -> Iterator[Finding]:
    hits = seen.pictures(lambda p: p.sentinel is not None)
    if hits:
        numbers = sorted({p.sentinel for _, p in hits if p.sentinel is not None})
        config = seen.subject.config
        known = [*config.nodata] if config is not None else []
        yield Finding(
            "stop",
            "picture-nodata",
            message(
                "{counted} {join}, which rasters are filled with where there is no data",
                counted=counted(len(hits), "picture holds"),
                join=", ".join(f"{n:g}" for n in numbers),
            ),
            message("write nodata: {what}", what=[*known, *numbers]),
            seen.picture_names([f for f, _ in hits]),
            {"nodata": [*known, *numbers]},
        )


def _ranges(seen: Seen, good: list[tuple[PairFacts, PictureFacts]]) -> Iterator[Finding]:
    """Whether val has values like those of train."""
    of: dict[str, tuple[Range | None, set[str]]] = {}
    for split in ("train", "val"):
        here = [p for f, p in good if f.split == split and p.missing < 1 and p.sentinel is None]
        of[split] = Range.of([(p.low, p.high) for p in here]), {p.dtype for p in here}
    (train, types), (val, others) = of["train"], of["val"]
    if train is None or val is None or len(types) != 1 or len(others) != 1:
        return
    dtype = next(iter(types))
    config = seen.subject.config
    scale = config.scale if config is not None and config.scale else WHITES.get(dtype, 1.0)
    try:
        Expected(scale, dtype, dataclasses.astuple(train)).check(val, next(iter(others)), "val")
    except InputError:
        yield Finding(
            "stop",
            "range-differs",
            message(
                "pictures of val have values from {lowest:g} to {most:g}, those of train"
                " from {lowest2:g} to {most2:g}",
                lowest=val.lowest,
                most=val.most,
                lowest2=train.lowest,
                most2=train.most,
            ),
            message("save both in the same way"),
        )


def _scales(seen: Seen, good: list[tuple[PairFacts, PictureFacts]]) -> Iterator[Finding]:
    """Pictures of one type, of which some were scaled to another range, such as 0 to 1."""
    for dtype in sorted({p.dtype for _, p in good}):
        able = [(f, p) for f, p in good if p.dtype == dtype and p.high > max(0, p.low)]
        able = sorted((pair for pair in able if pair[1].sentinel is None), key=lambda x: x[1].high)
        steps = [after[1].high / before[1].high for before, after in pairwise(able)]
        if not steps or max(steps) < APART:
            continue
        at = steps.index(max(steps)) + 1
        dark, bright = able[:at], able[at:]
        if dtype == "uint8" and dark[-1][1].high > DARK:
            continue
        fewer = min(dark, bright, key=len)
        yield Finding(
            "stop",
            "range-differs",
            message(
                "{counted} at most {high:g}, the others {high2:g} and more",
                counted=counted(len(dark), "picture reaches", dtype),
                high=dark[-1][1].high,
                high2=bright[0][1].high,
            ),
            message("save all with the same range"),
            seen.picture_names([f for f, _ in fewer]),
        )
