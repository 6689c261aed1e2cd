"""Outlines of regions from their corners.

An outline runs along the sides of pixels. Where it turns there is a corner, and corners say all:
those of a region in a row, from left to right, are joined two by two, and so are those in a column.
Where two pixels of a region touch in a point only, there are two corners in one place; they are
ordered so that the outline does not cross from one pixel to the other's side: a hole that touches
the shell stays a hole. So corners can be collected strip by strip, in any number of strips.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pixelwise.predict.rasters.polygons.regions import NONE, Strip

CORNER = np.dtype([("region", "i8"), ("y", "i4"), ("x", "i4"), ("right", "?"), ("down", "?")])
"""`right`: comes after another corner in the same place along a row; `down`: along a column."""
QUARTERS = ((0, 0, False, True), (0, 1, True, True), (1, 0, False, False), (1, 1, True, False))
"""Of the pixels around a place: row, column, and what their corners there are."""


@dataclass(frozen=True)
class Outlines:
    """The outlines of some regions.

    Args:
        regions: Their numbers.
        points: (x, y) of all rings, each closed; x counts columns, y rows.
        rings: Where each ring begins in `points`, and the end.
        polygons: Where each region begins in `rings`, and the end; its shell is the first.
    """

    regions: Int[ndarray, " polygons"]
    points: Int[ndarray, "points 2"]
    rings: Int[ndarray, " rings"]
    polygons: Int[ndarray, " polygons_and_one"]

    def geometries(self) -> Any:
        """As an array of shapely's."""
        import shapely

        return shapely.from_ragged_array(
            shapely.GeometryType.POLYGON,
            self.points.astype(np.float64),
            (self.rings, self.polygons),
        )


def corners(regions: Int[ndarray, "rows columns"], top: int) -> ndarray:
    """The corners in the places between rows of regions.

    Args:
        regions: Two rows or more.
        top: Which row of places lies below the first of them.
    """
    found = np.pad(regions, ((0, 0), (1, 1)), constant_values=NONE)
    around = [[found[:-1, :-1], found[:-1, 1:]], [found[1:, :-1], found[1:, 1:]]]
    (nw, ne), (sw, se) = around
    y, x = np.nonzero((nw != ne) | (nw != sw) | (nw != se))
    at = [[quarter[y, x] for quarter in row] for row in around]
    parts = []
    for row, column, right, down in QUARTERS:
        own, beside = at[row][column], at[row][1 - column]
        beyond, opposite = at[1 - row][column], at[1 - row][1 - column]
        turns = (own != beside) & (own != beyond)
        turns |= (own == beside) & (own == beyond) & (own != opposite)
        turns &= own != NONE
        part = np.empty(int(turns.sum()), CORNER)
        part["region"], part["y"], part["x"] = own[turns], y[turns] + top, x[turns]
        part["right"], part["down"] = right, down
        parts.append(part)
    return np.concatenate(parts)


def outlined(found: ndarray) -> Outlines:
    """The outlines of regions, from all of their corners."""
    found = found[np.lexsort((found["right"], found["x"], found["y"], found["region"]))]
    columns = np.lexsort((found["down"], found["y"], found["x"], found["region"]))
    beyond = np.empty(len(found), np.int64)
    beyond[columns[0::2]], beyond[columns[1::2]] = columns[1::2], columns[0::2]
    order, starts = _walked(beyond.tolist())
    first = np.asarray(order, np.int64)[np.asarray(starts[:-1], np.int64)]
    region = found["region"][first]
    begins = np.flatnonzero(np.append(True, region[1:] != region[:-1])[: len(region)])
    at = found[order]
    points = np.stack([at["x"], at["y"]], axis=1)
    return Outlines(
        region[begins],
        points,
        np.asarray(starts, np.int64),
        np.append(begins, len(region)),
    )


def _walked(beyond: list[int]) -> tuple[list[int], list[int]]:
    """Corners in the order of rings, the first of each again at its end; where rings begin.

    Args:
        beyond: The corner that each is joined with in its column; in its row, i goes with i ^ 1.
    """
    seen = bytearray(len(beyond))
    order: list[int] = []
    starts = [0]
    for start in range(0, len(beyond), 2):
        if seen[start]:
            continue
        here = start
        while True:
            order.append(here)
            order.append(here ^ 1)
            seen[here] = seen[here ^ 1] = 1
            here = beyond[here ^ 1]
            if here == start:
                break
        order.append(start)
        starts.append(len(order))
    return order, starts


class Outliner:
    """Gives the polygons of regions as soon as they are known to have ended."""

    def __init__(self) -> None:
        self._open: dict[int, list[ndarray]] = {}
        self._classes: dict[int, int] = {}

    def add(self, strip: Strip) -> tuple[Any, Int[ndarray, " polygons"]]:
        """Polygons and classes of the regions that ended above the last row of a strip."""
        for old, new in strip.same.items():
            for part in self._open[old]:
                part["region"] = new
            self._open[new] += self._open.pop(old)
            del self._classes[old]
        found, alive = corners(np.vstack([strip.above, strip.regions]), strip.top), strip.alive
        ends = ~np.isin(found["region"], alive)
        whole = [found[ends]]
        for number in sorted(self._open.keys() - set(alive.tolist())):
            whole += self._open.pop(number)
        outlines = outlined(np.concatenate(whole))
        classes = [
            strip.class_of(number) if number >= strip.first else self._classes.pop(number)
            for number in outlines.regions.tolist()
        ]
        self._keep(found[~ends], alive, strip)
        return outlines.geometries(), np.array(classes, np.int64)

    def _keep(self, found: ndarray, alive: Int[ndarray, " regions"], strip: Strip) -> None:
        found = found[np.argsort(found["region"], kind="stable")]
        bounds = [*np.searchsorted(found["region"], alive).tolist(), len(found)]
        for number, begin, end in zip(alive.tolist(), bounds, bounds[1:], strict=False):
            self._open.setdefault(number, []).append(found[begin:end].copy())
            if number >= strip.first:
                self._classes[number] = strip.class_of(number)
