"""The values of masks, and the classes that they are."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.values import UNKNOWN, ValueMap
from pixelwise.doctor.facts import Reading

MOST_VALUES = 1024
SMALLEST = 32
NARROW = 3
"""Pixels of a strip that may be a smeared border, at most."""
RING = 6
"""Pixels that a drawn border is wide, at most."""


def distinct(
    codes: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The different values, how often each occurs, and which of them each pixel has."""
    flat = codes.ravel()
    low, high = int(flat.min()), int(flat.max())
    if high - low >= 2**16:
        values, places, counts = np.unique(flat, return_inverse=True, return_counts=True)
        return values, counts, places
    every = np.bincount(flat - low, minlength=high - low + 1)
    present = np.flatnonzero(every)
    number = np.zeros(len(every), np.int64)
    number[present] = np.arange(len(present))
    return present + low, every[present], number[flat - low]


def targets_of(
    values: NDArray[np.int64],
    counts: NDArray[np.int64],
    coloured: bool,
    reading: Reading,
    nodata: float | None,
) -> tuple[NDArray[np.int64] | None, dict[int, int]]:
    """The class id of each value as the map has it, and those that it lacks."""
    if reading.values is None:
        return None, {}
    table = table_of(reading.values, coloured=coloured)
    found = [look_up(table, int(value), coloured, reading.values) for value in values]
    targets = np.array(found, np.int64)
    if nodata is not None and not coloured:
        targets[(targets == UNKNOWN) & (values == nodata)] = reading.ignore_index
    lacking = np.flatnonzero(targets == UNKNOWN)
    lacking = lacking[np.argsort(-counts[lacking], kind="stable")][:MOST_VALUES]
    return targets, {int(values[i]): int(counts[i]) for i in lacking}


def table_of(values: ValueMap, *, coloured: bool) -> dict[int, int]:
    """Raw value or colour code -> class id."""
    if coloured and values.colours:
        return {r << 16 | g << 8 | b: target for (r, g, b), target in values.colours.items()}
    return values.values


def look_up(table: dict[int, int], value: int, coloured: bool, values: ValueMap) -> int:
    """The id of a value; grey colours are numbers where the map has no colours."""
    if coloured and not values.colours:
        red, rest = value >> 16, value & 0xFFFF
        return table.get(red, UNKNOWN) if rest == red << 8 | red else UNKNOWN
    return table.get(value, UNKNOWN)


def thin_share(found: NDArray[np.bool_]) -> float:
    """Share of pixels that are not deep inside."""
    deep = found
    for axis in (0, 1):
        padded = np.pad(deep, [(RING, RING) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        sums = np.cumsum(padded, axis=axis, dtype=np.int64)
        sums = np.insert(sums, 0, 0, axis=axis)
        width = 2 * RING + 1
        length = deep.shape[axis]
        upper = np.take(sums, range(width, width + length), axis=axis)
        deep = upper - np.take(sums, range(length), axis=axis) == width
    return 1.0 - float(deep.sum()) / max(1, int(found.sum()))


def strips(codes: NDArray[np.int64]) -> tuple[dict[int, int], int]:
    """Pixels of each value in narrow strips between a lower and a higher one, and jumps.

    Where values were blurred, a border from 0 to 3 goes through 1 and 2; where they were not, it
    jumps. What is void is left out.
    """
    ramps: Counter[int] = Counter()
    jumps = 0
    if min(codes.shape) < SMALLEST:  # things are as narrow as blurred borders
        return {}, 0
    for lines in (codes, codes.T):
        starts = np.ones(lines.shape, np.bool_)
        starts[:, 1:] = lines[:, 1:] != lines[:, :-1]
        begin = np.flatnonzero(starts)
        values, row = lines.ravel()[begin], begin // lines.shape[1]
        lengths = np.diff(np.append(begin, lines.size))
        valid = (values >= 0) & (values != 255) & (values != 65535)
        step = np.diff(values)
        joined = (np.diff(row) == 0) & valid[1:] & valid[:-1]
        between = joined[1:] & joined[:-1] & (step[1:] * step[:-1] > 0) & (lengths[1:-1] <= NARROW)
        # Narrow things by nature are as often above or below both sides.
        narrow = joined[1:] & joined[:-1] & (step[1:] * step[:-1] < 0) & (lengths[1:-1] <= NARROW)
        jumps += int(narrow.sum())
        for value in np.unique(values[1:-1][between]):
            at = between & (values[1:-1] == value)
            ramps[int(value)] += int(lengths[1:-1][at].sum())
        wide = (lengths[1:] > NARROW) & (lengths[:-1] > NARROW)
        jumps += int((joined & wide & (np.abs(step) > 1)).sum())
    return dict(ramps), jumps
