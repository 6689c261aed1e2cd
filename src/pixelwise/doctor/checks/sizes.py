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
            words = words or f"{own[0]} x {own[1]} against {shown[0]} x {shown[1]}"
    found = []
    if exif:
        found.append(
            Finding(
                "stop",
                "exif-turned",
                f"{counted(len(exif), 'picture is')} shown turned, as EXIF says, but"
                f" {'its mask fits it' if len(exif) == 1 else 'their masks fit them'} unturned",
                "turn the masks likewise, or remove the EXIF entry and draw on what is shown then",
                seen.picture_names(exif),
            )
        )
    if swapped:
        found.append(
            Finding(
                "stop",
                "mask-turned",
                f"{counted(len(swapped), 'mask has')} the height of the picture as width",
                f"turn them{_way(swapped)}",
                seen.mask_names(swapped),
            )
        )
    if differ:
        found.append(
            Finding(
                "stop",
                "sizes-differ",
                f"{counted(len(differ), 'mask has')} another size than the picture, the first"
                f" {words} (height x width)",
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
        return " by 90 degrees, to the left or to the right"
    how, number = votes.most_common(1)[0]
    return f" back: most fit {how}" if 2 * number > len(facts) else " by 90 degrees"


def _remedy(facts: list[PairFacts]) -> str:
    first = facts[0]
    assert first.picture is not None
    assert first.mask is not None
    high = first.mask.height / first.picture.height
    wide = first.mask.width / first.picture.width
    if abs(high / wide - 1) < 0.02:
        return "resize the masks by nearest neighbour, or the pictures"
    return "look for what was cut off, and make them equal"


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
            text = f"{counted(len(short), 'picture has')} fewer than {most} bands"
            yield Finding(
                "stop", "bands-differ", text, "correct `bands`", seen.picture_names(short)
            )
        return
    if len(numbers) < 2:
        return
    usual = numbers.most_common(1)[0][0]
    others = [f for f, p in good if p.bands != usual]
    listed = ", ".join(f"{count} have {bands}" for bands, count in numbers.most_common())
    if set(numbers) == {1, 3}:
        text = f"pictures of 1 and of 3 bands are mixed: {listed}; grey becomes colour"
        yield Finding("note", "grey-and-colour", text, "nothing", seen.picture_names(others))
        return
    fewest = min(numbers)
    yield Finding(
        "stop",
        "bands-differ",
        f"pictures have different bands: {listed}",
        f"choose those that all have with `bands: {[*range(fewest)]}`, or convert the others",
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
            f"pictures hold values of different types: {listed}",
            "convert them to one type, or state the raw value of white as `scale:`",
            seen.picture_names([f for f, _ in others]),
        )
    deep = [(f, p) for f, p in good if p.dtype == "uint16"]
    top = max((p.high for _, p in deep), default=0)
    if deep and 0 < top < PADDED and len(whites) == 1:
        white = 2 ** max(8, int(top).bit_length()) - 1
        yield Finding(
            "note",
            "white-unclear",
            f"16-bit pictures reach only {top:g}",
            f"if white is {white}, write scale: {white}",
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
            f"{counted(len(hits), 'picture holds')} {', '.join(f'{n:g}' for n in numbers)}, which"
            " rasters are filled with where there is no data",
            f"write nodata: {[*known, *numbers]}",
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
            f"pictures of val have values from {val.lowest:g} to {val.most:g}, those of train from"
            f" {train.lowest:g} to {train.most:g}",
            "save both in the same way",
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
            f"{counted(len(dark), f'{dtype} picture reaches')} at most {dark[-1][1].high:g}, the"
            f" others {bright[0][1].high:g} and more",
            "save all with the same range",
            seen.picture_names([f for f, _ in fewer]),
        )
