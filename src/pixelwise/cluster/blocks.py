"""How many rows of windows of a raster make a task.

A task predicts the rows above its own that reach into them once more. So few rows per task cost
work twice, and many leave workers idle in the end. What ends soonest is taken, of sizes that give
every worker several tasks: with a worker that is killed little is lost.
"""

import itertools
import math
from collections.abc import Sequence

from pixelwise.predict.rasters.grid import Grid

MOST_ROWS, SMALL = 16, 4
"""Rows of windows that are lost with a worker, at most; so many may always be a task."""
TASKS = 4
"""Of a worker, where rows suffice."""
MOST_BYTES = 2**30
"""Of results before they are compressed, which a worker keeps until a task is done."""


def blocks(grid: Grid, rows: Sequence[int], workers: int, pixel_bytes: int) -> list[range]:
    """Rows of windows in parts, each of rows that follow each other.

    Args:
        grid: The windows of the raster.
        rows: Those that are wanted, in order.
        workers: How many there are.
        pixel_bytes: Of all results, per pixel.
    """
    each = math.ceil(grid.height / grid.rows) * grid.width * pixel_bytes
    shared = max(SMALL, len(rows) // (TASKS * workers))
    most = max(1, min(MOST_ROWS, shared, MOST_BYTES // each))
    again = max((row - grid.reaching(row) for row in rows), default=0)
    size = rows_per_task(len(rows), workers, again, most)
    found = []
    for run in _runs(rows):
        parts = math.ceil(len(run) / size)
        edges = [run.start + len(run) * i // parts for i in range(parts + 1)]
        found += [range(a, b) for a, b in itertools.pairwise(edges)]
    return found


def rows_per_task(rows: int, workers: int, again: int, most: int) -> int:
    """The size of tasks with which all ends soonest.

    Args:
        rows: Of windows in all.
        workers: How many there are.
        again: Rows that a task predicts which are another's.
        most: Rows of a task.
    """

    def rounds(size: int) -> int:
        return math.ceil(math.ceil(rows / size) / workers) * (size + again)

    return min(range(1, max(1, min(rows, most)) + 1), key=lambda size: (rounds(size), size))


def _runs(rows: Sequence[int]) -> list[range]:
    found: list[range] = []
    for row in rows:
        if found and found[-1].stop == row:
            found[-1] = range(found[-1].start, row + 1)
        else:
            found.append(range(row, row + 1))
    return found
