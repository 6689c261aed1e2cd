"""What masks hold, as several checks ask for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pixelwise.doctor.facts import MaskFacts, PairFacts
from pixelwise.doctor.mapping import IGNORE
from pixelwise.doctor.seen import Seen
from pixelwise.language import joined, message

THIN = 0.6
"""Share of pixels of 255 near another value, above which 255 is a border."""
SHOWN = 6
Masks = Sequence[tuple[PairFacts, MaskFacts]]


def is_grey(mask: MaskFacts) -> bool:
    """Whether a mask that is saved in colour holds grey only."""
    return all(v >> 16 == (v >> 8 & 255) == v & 255 for v in mask.values)


def values_of(mask: MaskFacts) -> Mapping[int, int]:
    """Raw values, also of a grey mask that is saved in colour."""
    return {v & 255: n for v, n in mask.values.items()} if mask.coloured else mask.values


def total(masks: Masks) -> Counter[int]:
    """Raw value -> pixels, of all masks."""
    found: Counter[int] = Counter()
    for _, mask in masks:
        found.update(values_of(mask))
    return found


def names_of(seen: Seen, masks: Masks) -> tuple[str, ...]:
    """How the masks are told."""
    return seen.mask_names([f for f, _ in masks])


def is_thin(masks: Masks) -> bool:
    """Whether 255 is only a border."""
    shares = sorted(m.thin for _, m in masks if not m.coloured and 255 in m.values)
    return bool(shares) and shares[len(shares) // 2] >= THIN


def told_values(values: Mapping[int, int]) -> str:
    """The most frequent values with their pixels, in words."""
    listed = sorted(values.items(), key=lambda pair: -pair[1])
    more = message(" and {shown} more", shown=len(listed) - SHOWN) if len(listed) > SHOWN else ""
    told = (message("{v} ({n} pixels)", v=v, n=n) for v, n in listed[:SHOWN])
    return joined(", ", told) + more


def declared_map(seen: Seen) -> dict[int, Any]:
    """The `map:` as it is, of numbers."""
    config = seen.subject.config
    assert config is not None
    void = config.classes.ignore_index
    return {v: IGNORE if i == void else i for v, i in config.values.values.items()}


def unlisted_values(masks: Masks) -> Counter[int]:
    """Raw value -> pixels, those that the map lacks."""
    found: Counter[int] = Counter()
    for _, mask in masks:
        found.update(
            {v & 255: n for v, n in mask.unlisted.items()} if mask.coloured else mask.unlisted
        )
    return found
