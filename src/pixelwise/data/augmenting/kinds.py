"""The kinds of augmentation and their options: what may be asked for; no torch is loaded here."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Option:
    """A number that may be given, from `low` to `high`."""

    default: int | float
    low: int | float
    high: int | float
    whole: bool = False
    """Whether it is a whole number."""


def chance(default: int | float = 0.5) -> Option:
    """How many of the items."""
    return Option(default, 0, 1)


@dataclass(frozen=True)
class Kind:
    """One kind.

    Args:
        summary: What it does, with its options in braces.
        options: By name; `chance` is among them.
        main: The option that a number alone means.
        points: Whether points move with it exactly.
        values: Whether masks that hold numbers may be varied so.
    """

    summary: str
    options: Mapping[str, Option] = field(default_factory=lambda: {"chance": chance()})
    main: str = "chance"
    points: bool = False
    values: bool = True


KINDS: Mapping[str, Kind] = {
    "turn": Kind(
        "turns by up to {angle:g} degrees, either way",
        {"angle": Option(20, 0, 180), "chance": chance(1)},
        main="angle",
        points=True,
    ),
    "elastic": Kind(
        "bends by up to {strength:g} pixels, smoothly over {spacing:g} pixels",
        {"chance": chance(), "strength": Option(6, 0, 1000), "spacing": Option(48, 2, 10_000)},
    ),
    "blur": Kind(
        "blurs by a Gaussian of up to {sigma:g} pixels",
        {"chance": chance(), "sigma": Option(1.5, 0.01, 50)},
        points=True,
    ),
    "noise": Kind(
        "adds noise of up to {strength:g} times the standard deviation of each band",
        {"chance": chance(), "strength": Option(0.3, 0, 10)},
        points=True,
    ),
    "jpeg": Kind(
        "compresses 8-bit pictures of 1 or 3 bands as JPEG of {quality} or better",
        {"chance": chance(), "quality": Option(30, 1, 95, whole=True)},
        points=True,
    ),
    "copy_paste": Kind(
        "pastes regions of rare classes out of other pictures",
        {"chance": chance(), "whole": Option(0, 0, 1, whole=True)},
        values=False,
    ),
    "mosaic": Kind("puts four pictures into the quarters of a crop"),
    "cutmix": Kind("replaces a box by that of another picture"),
    "mixup": Kind(
        "adds two pictures, with weights from Beta({alpha:g}, {alpha:g})",
        {"chance": chance(), "alpha": Option(0.2, 0.01, 100)},
    ),
    "cut_out": Kind(
        "hides up to {count} boxes with sides of up to {size:g} times the crop's",
        {"chance": chance(), "count": Option(3, 1, 100, whole=True), "size": Option(0.3, 0.01, 1)},
        points=True,
    ),
}
"""In the order in which they are applied; `own` comes after `jpeg`."""
OWN = "own"
RARE = "rare"
EXACT = tuple(name for name, kind in KINDS.items() if kind.points)
"""Kinds that keep points where they are, or move them exactly."""


def number_of(kind: str) -> int:
    """For the kind's random stream; one that stands for ever."""
    return STREAMS.index(kind)


STREAMS = (
    "turn", "elastic", "blur", "noise", "jpeg", "cut_out", "mosaic", "cutmix", "copy_paste",
    "mixup", "own",
)  # fmt: skip
"""New kinds are added at the end, so that those before them are drawn as ever."""
