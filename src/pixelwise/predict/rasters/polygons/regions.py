"""Regions of a raster of classes, strip by strip: pixels of one class that share sides.

A region is known by a number. One that reaches the last row of a strip may go on in the next, and
two of them may turn out to be one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, Integer
from numpy import ndarray
from numpy.typing import NDArray

NONE = -1
"""Where there is no region."""


@dataclass(frozen=True)
class Strip:
    """Some rows of a raster, and the row above them.

    Args:
        top: The first row of pixels.
        above: The regions of the row above.
        parts: Regions as if there were this strip only, counted from 0.
        numbers: Part -> region.
        classes: Part -> class.
        first: Regions that begin here have this number or higher ones.
        same: Old number -> new number, of regions that turned out to be one.
    """

    top: int
    above: Int[ndarray, " columns"]
    parts: Int[ndarray, "rows columns"]
    numbers: Int[ndarray, " parts"]
    classes: Integer[ndarray, " parts"]
    first: int
    same: dict[int, int]

    @cached_property
    def regions(self) -> Int[ndarray, "rows columns"]:
        """The regions of the pixels."""
        return np.append(self.numbers, NONE)[self.parts]

    @cached_property
    def alive(self) -> Int[ndarray, " regions"]:
        """The regions that may go on in the next strip."""
        found = np.unique(self.regions[-1])
        return found[found != NONE]

    def class_of(self, region: int) -> int:
        """Of one that begins here."""
        return int(self.classes[region - self.first])


class Regions:
    """Numbers the regions of a raster from top to bottom.

    Args:
        width: Of the raster.
    """

    def __init__(self, width: int) -> None:
        self._above = np.full(width, NONE, np.int64)
        self._classes = np.zeros(width, np.int64)
        self._top = self._next = 0

    def add(
        self, classes: Integer[ndarray, "rows columns"], wanted: Bool[ndarray, "rows columns"]
    ) -> Strip:
        """The next rows.

        Args:
            classes: What the pixels are.
            wanted: Those that belong to a region.
        """
        parts, values = labelled(classes, wanted)
        touching = (self._above != NONE) & wanted[0] & (self._classes == classes[0])
        known = np.unique(self._above[self._above != NONE])
        root = connected(
            len(known) + len(values),
            np.searchsorted(known, self._above[touching]),
            len(known) + parts[0][touching],
        )
        numbers = np.concatenate([known, self._next + np.arange(len(values))])[root]
        now = numbers[: len(known)]
        above = self._above.copy()
        above[above != NONE] = now[np.searchsorted(known, above[above != NONE])]
        changed = zip(known.tolist(), now.tolist(), strict=True)
        strip = Strip(
            self._top,
            above,
            parts,
            numbers[len(known) :],
            values,
            self._next,
            {old: new for old, new in changed if old != new},
        )
        self._above, self._classes = strip.regions[-1], classes[-1].astype(np.int64)
        self._top, self._next = self._top + len(classes), self._next + len(values)
        return strip


def labelled(
    classes: Integer[ndarray, "rows columns"], wanted: Bool[ndarray, "rows columns"]
) -> tuple[Int[ndarray, "rows columns"], Int[ndarray, " regions"]]:
    """Number the regions of an array; returns the numbers and the class of each.

    The unit is a run: pixels of one class side by side in a row.

    Args:
        classes: What the pixels are.
        wanted: Those that belong to a region; others have the number -1.
    """
    begins = np.ones(classes.shape, np.bool_)
    begins[:, 1:] = (classes[:, 1:] != classes[:, :-1]) | (wanted[:, 1:] != wanted[:, :-1])
    run = np.cumsum(begins.ravel(), dtype=np.int32).reshape(classes.shape) - 1
    below = (classes[1:] == classes[:-1]) & wanted[1:] & wanted[:-1]
    below &= begins[1:] | begins[:-1]  # where two runs meet first
    root = connected(int(run[-1, -1]) + 1, run[:-1][below], run[1:][below])
    kept = wanted.ravel()[begins.ravel()]
    value = classes.ravel()[begins.ravel()].astype(np.int64)
    is_root = (root == np.arange(len(root))) & kept
    number = np.cumsum(is_root) - 1
    of_run = np.where(kept, number[root], NONE)
    return of_run[run], value[is_root]


def connected(
    count: int, one: Int[ndarray, " pairs"], other: Int[ndarray, " pairs"]
) -> Int[ndarray, " count"]:
    """The least of the things that each of `count` things hangs together with.

    Args:
        count: How many things there are.
        one: These are connected ...
        other: ... with these.
    """
    root: NDArray[np.int64] = np.arange(count)
    while len(one):
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while True:
            further = root[root]
            if np.array_equal(further, root):
                break
            root = further
    return root
