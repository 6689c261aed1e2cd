"""Outlines of regions with fewer points, the same for neighbours.

Each strip is simplified by itself, as a coverage without holes: a border between two regions is one
line, and both get it. The strip's own border stays as it is, so that the parts of a region fit.
"""

from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pixelwise.predict.rasters.polygons.outlines import Outlines, corners, outlined
from pixelwise.predict.rasters.polygons.regions import NONE, Strip, labelled


class Simplifier:
    """Gives the simplified polygons of regions as soon as they are known to have ended.

    Args:
        tolerance: The square root of the area of a corner that may be cut off, in pixels.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._open: dict[int, list[Any]] = {}
        self._classes: dict[int, int] = {}

    def add(self, strip: Strip) -> tuple[Any, Int[ndarray, " polygons"]]:
        """Polygons and classes of the regions that ended above the last row of a strip."""
        import shapely

        for old, new in strip.same.items():
            self._open[new] += self._open.pop(old)
            del self._classes[old]
        polygons = self._parts(strip)
        goes_on = np.isin(strip.numbers, strip.alive)
        joins = goes_on | (strip.numbers < strip.first)
        whole, classes = polygons[~joins], strip.classes[~joins].tolist()
        for part in np.flatnonzero(joins).tolist():
            number = int(strip.numbers[part])
            self._open.setdefault(number, []).append(polygons[part])
            self._classes.setdefault(number, int(strip.classes[part]))
        ended = sorted(self._open.keys() - set(strip.alive.tolist()))
        joined = [shapely.union_all(self._open.pop(number)) for number in ended]
        classes += [self._classes.pop(number) for number in ended]
        found = np.array([*whole, *joined], object)
        return found, np.array(classes, np.int64)

    def _parts(self, strip: Strip) -> Any:
        """The polygons of a strip's parts."""
        import shapely

        empty = strip.parts == NONE
        gaps, _ = labelled(empty.astype(np.uint8), empty)
        parts = np.where(empty, gaps + len(strip.numbers), strip.parts)
        framed = np.pad(parts, ((1, 1), (0, 0)), constant_values=NONE)
        cover = noded(outlined(corners(framed, 0)), framed).geometries()
        found = shapely.coverage_simplify(cover, self._tolerance, simplify_boundary=False)
        down = np.array([0, strip.top])
        return shapely.transform(found[: len(strip.numbers)], lambda points: points + down)


def noded(outlines: Outlines, regions: Int[ndarray, "rows columns"]) -> Outlines:
    """The same with a point wherever three regions meet.

    Args:
        outlines: Of all regions.
        regions: Their pixels, with a row of none above and below.
    """
    height, width = len(regions) - 1, regions.shape[1] + 1  # of places between pixels
    found = np.pad(regions, ((0, 0), (1, 1)), constant_values=NONE)
    beside, beyond = found[:, 1:] != found[:, :-1], found[1:] != found[:-1]
    lines = beside[:-1].astype(np.int8) + beside[1:] + beyond[:, :-1] + beyond[:, 1:]
    y, x = np.nonzero(lines > 2)
    along, down = np.sort(y * width + x), np.sort(x * height + y)
    start, end = outlines.points[:-1].T, outlines.points[1:].T
    flat = start[1] == end[1]
    here = np.where(flat, start[1] * width + start[0], start[0] * height + start[1])
    there = np.where(flat, end[1] * width + end[0], end[0] * height + end[1])
    low, high = np.minimum(here, there), np.maximum(here, there)
    low = np.where(flat, np.searchsorted(along, low, "right"), np.searchsorted(down, low, "right"))
    high = np.where(flat, np.searchsorted(along, high), np.searchsorted(down, high))
    count = high - low
    count[outlines.rings[1:-1] - 1] = 0  # nothing is drawn from the end of a ring to the next
    place = np.append(0, np.cumsum(count + 1))
    points = np.empty((place[-1] + 1, 2), outlines.points.dtype)
    points[place] = outlines.points
    side = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count)
    node = low[side] + np.where((here < there)[side], step, count[side] - 1 - step)
    (row, column), (column_too, row_too) = divmod(along[node], width), divmod(down[node], height)
    at_x, at_y = np.where(flat[side], column, column_too), np.where(flat[side], row, row_too)
    points[place[side] + 1 + step] = np.stack([at_x, at_y], axis=1)
    rings = np.append(place[outlines.rings[:-1]], len(points))
    return Outlines(outlines.regions, points, rings, outlines.polygons)
