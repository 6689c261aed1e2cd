"""Proposes what the raw values of masks mean, where that can be told from the values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from math import gcd
from typing import Any

from pixelwise.data.layouts import CITYSCAPES, LABEL_IDS, LAYOUTS
from pixelwise.language import message

IGNORE = "ignore"
VOID = (-1, 255, 65535)
PEAKS = 0.6
"""Share of the pixels that the frequent values of smeared masks have, at least."""
MANY = 12
"""So many values beyond the classes look like smeared borders."""

Map = dict[int, Any]


@dataclass(frozen=True)
class Proposal:
    """What values mean.

    Args:
        key: Of the finding.
        map: Raw value -> class id or "ignore".
        told: What was recognised.
        remedy: What else to think of.
    """

    key: str
    map: Map
    told: str
    remedy: str = ""


def propose(values: Mapping[int, int], classes: int, thin: bool) -> Proposal | None:
    """From raw values and their pixels; None: nothing is recognised.

    Args:
        values: Raw value -> pixels.
        classes: How many there are.
        thin: 255 is only a line around things, as in VOC.
    """
    found = sorted(values)
    core = [v for v in found if v not in VOID]
    rest: Map = {v: IGNORE for v in found if v in VOID}
    border: str = message(" (255 is a thin border, as in VOC)") if thin and 255 in found else ""
    if classes == 2 and found in ([0, 255], [0, 65535]):
        return Proposal(
            "values-0-255",
            {0: 0, found[1]: 1},
            message("masks are black and white: 0 and {found}", found=found[1]),
        )
    if set(core) <= {*range(classes)} and core:
        white = len(core) + len(rest) == classes and -1 not in rest
        if white and not thin and len(core) < classes:
            told = message("classes are grey levels, {found} among them", found=found[-1])
            return Proposal("values-grey-levels", _in_order(found), told)
        return Proposal(
            "values-are-ids",
            {v: v for v in core} | rest,
            message("values are ids{border}", border=border),
        )
    if core and core[0] == 1 and core[-1] == classes and classes > 1:
        return Proposal(
            "values-from-1",
            {v: v - 1 for v in range(1, classes + 1)} | rest,
            message(
                "values begin at 1: 1 to {classes} for {classes} classes{border}",
                classes=classes,
                border=border,
            ),
        )
    if classes == len(CITYSCAPES) and set(core) <= {*range(-1, LABEL_IDS)}:
        known = LAYOUTS["cityscapes"]["map"]
        return Proposal(
            "values-label-ids",
            dict(known) | {v: IGNORE for v in found if v not in known},
            message("values are Cityscapes' label ids, 0 to 33, not its 19 train ids"),
        )
    if core and core[0] == 0 and core[-1] == classes and len(core) > 2:
        return Proposal(
            "values-zero-other",
            {0: IGNORE} | {v: v - 1 for v in range(1, classes + 1)} | rest,
            message(
                "values are 0 to {classes} for {classes} classes; 0 rather means other,"
                " as in ADE20K",
                classes=classes,
            ),
            message(
                "or name value 0 as a class of its own, with {classes} names", classes=classes + 1
            ),
        )
    return _levels(found, core, rest, classes)


def _levels(found: list[int], core: list[int], rest: Map, classes: int) -> Proposal | None:
    if len(found) == classes:
        told = message("classes are grey levels: {listed}", listed=_listed(found))
        return Proposal("values-grey-levels", _in_order(found), told, message("check their order"))
    if len(core) == classes:
        told = message("classes are grey levels: {listed}", listed=_listed(core))
        return Proposal(
            "values-grey-levels", _in_order(core) | rest, told, message("check their order")
        )
    step = reduce(gcd, found, 0)
    if step > 1 and found[-1] // step < classes and len(found) > 1:
        return Proposal(
            "values-grey-levels",
            {i * step: i for i in range(classes)},
            message(
                "classes are grey levels, multiples of {step}: {listed}",
                step=step,
                listed=_listed(found),
            ),
        )
    if core and core[-1] >= 1000 and {v // 1000 for v in core if v >= 1000} <= {*range(LABEL_IDS)}:
        ids = {v: v // 1000 if v >= 1000 else v for v in core}
        if set(ids.values()) <= {*range(classes)} and len(core) > classes:
            return Proposal(
                "values-instances", dict(ids) | rest,
                message("values are instances, 1000 times the class and a number"),
                message("rather take the files of classes, such as *_labelIds"),
            )  # fmt: skip
    return None


def _in_order(values: list[int]) -> Map:
    return {value: i for i, value in enumerate(values)}


def _listed(values: Collection[int]) -> str:
    shown = [*values]
    return ", ".join(map(str, shown[:8])) + (", ..." if len(shown) > 8 else "")


def peaks(values: Mapping[int, int], classes: int) -> list[int] | None:
    """The values that are meant in masks whose borders are smeared; None: they are not."""
    total = sum(values.values())
    frequent = sorted(values, key=lambda v: -values[v])
    if classes:
        kept = [v for v in frequent[: classes + 1] if values[v] >= 0.004 * total]
    else:
        kept = [v for v in frequent if values[v] >= 0.02 * total]
    if len(values) < len(kept) + MANY or len(kept) < 2:
        return None
    return sorted(kept) if sum(values[v] for v in kept) >= PEAKS * total else None
