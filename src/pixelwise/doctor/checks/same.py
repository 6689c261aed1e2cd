"""Masks that are alike where pictures differ, and masks that are pictures themselves."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from pixelwise.doctor.checks.likeness import SIDE, detail
from pixelwise.doctor.facts import PairFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen
from pixelwise.language import message

ITSELF = 0.85
"""Correlation of a mask with its picture from which it is that picture."""
FREQUENT = 0.5
"""Share of the pixels that two values have in masks, however smeared, and in no picture."""
UNLIKE = 0.5
"""Correlation of small copies below which two pictures differ."""
FEW_LEVELS, MANY_VALUES = 24, 200
"""Grey levels of a picture that may be a mask, at most; values of a mask that may be a picture."""


def check_same(seen: Seen) -> list[Finding]:
    """All of them."""
    return [*_swapped(seen), *_pictures(seen), *_equal(seen)]


def _swapped(seen: Seen) -> Iterator[Finding]:
    pairs = [
        (f.picture, f.mask) for f in seen.facts
        if f.picture is not None and f.mask is not None and f.picture.levels and f.mask.distinct
    ]  # fmt: skip
    if pairs and all(p.levels <= FEW_LEVELS and m.distinct >= MANY_VALUES for p, m in pairs):
        yield Finding(
            "stop",
            "folders-swapped",
            message(
                "masks hold {amount} values and more, pictures at most {amount2}: what"
                " is called masks are rather the pictures",
                amount=min(m.distinct for _, m in pairs),
                amount2=max(p.levels for p, _ in pairs),
            ),
            message("swap the two folders, or correct `train`, `val` and `masks_dir`"),
            seen.mask_names([f for f in seen.facts if f.mask is not None]),
        )


def _pictures(seen: Seen) -> Iterator[Finding]:
    wrong = [
        f for f in seen.facts
        if (f.likeness >= ITSELF and not _has_frequent(f))
        or (
            f.picture is not None and f.mask is not None and f.picture.container.digest
            and f.picture.container.size and f.picture.container.digest == f.mask.container.digest
        )
    ]  # fmt: skip
    if wrong:
        are = (
            message("is the picture itself")
            if len(wrong) == 1
            else message("are the pictures themselves")
        )
        yield Finding(
            "warn" if seen.reading.numbers else "stop",  # brightness may be what is learnt
            "mask-is-picture",
            message(
                "{wrong} of {counted} {are}, or a grey copy",
                wrong=len(wrong),
                counted=counted(len(seen.masks()), "mask"),
                are=are,
            ),
            message("put the masks there; look at `masks_dir` and `masks`"),
            seen.mask_names(wrong),
        )


def _has_frequent(facts: PairFacts) -> bool:
    assert facts.mask is not None
    counts = sorted(facts.mask.values.values())
    return sum(counts[-2:]) > FREQUENT * facts.mask.height * facts.mask.width


def _equal(seen: Seen) -> Iterator[Finding]:
    groups: dict[str, list[PairFacts]] = defaultdict(list)
    ignored = seen.reading.ignore_index
    able = seen.masks(lambda m: m.content and m.distinct - (ignored in m.values) > 1)
    for facts, mask in able:
        if facts.picture is not None and not facts.picture.error:
            groups[mask.content].append(facts)
    wrong = [f for group in groups.values() if len(group) > 1 and _differ(group) for f in group]
    if wrong:
        every = len(wrong) == len(able) > 4 and len(groups) == 1
        yield Finding(
            "stop" if every else "warn",
            "mask-same",
            message(
                "{wrong} of {counted} are the same as another one, pixel by pixel,"
                " though their pictures differ",
                wrong=len(wrong),
                counted=counted(len(able), "mask"),
            ),
            message("look at their overlays; put each picture's own mask there"),
            seen.mask_names(wrong),
        )


def _differ(group: list[PairFacts]) -> bool:
    """Whether the pictures of the first few are not of the same thing."""
    thumbs = [f.picture.thumb for f in group if f.picture is not None]
    able = [thumb for thumb in thumbs[:8] if thumb is not None]
    if len(able) < 2:
        return False
    fine = np.stack(able).astype(np.float32)
    known = detail(fine.reshape(len(able), SIDE, -1, SIDE, fine.shape[2] // SIDE).mean((2, 4)))
    alike = known @ known.T
    return bool(np.median(alike[np.triu_indices(len(known), 1)]) < UNLIKE)
