"""Predicting a raster: one thread reads windows, the network runs, another thread writes.

At any moment a few windows are in memory, and what `blending` keeps; how large the raster is does
not matter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from pixelwise.predict.rasters.blending import Block, blending
from pixelwise.predict.rasters.grid import Grid
from pixelwise.predict.rasters.sink import Progress, Sink
from pixelwise.predict.rasters.source import Source
from pixelwise.predict.rasters.threads import ahead, behind
from pixelwise.predict.windows import Predictor

Prepare = Callable[[Any], Shaped[Tensor, "c h w"]]
"""From what a source read to raw values as the network takes them."""


@dataclass(frozen=True, eq=False)
class _Window:
    row: int
    column: int
    values: Tensor
    missing: Bool[Tensor, "h w"] | None

    @property
    def empty(self) -> bool:
        return self.missing is not None and bool(self.missing.all())


def predict_raster(
    logits: Predictor,
    source: Source,
    sinks: Sequence[Sink],
    *,
    prepare: Prepare,
    window: int = 1024,
    overlap: float = 0.25,
    batch: int = 1,
    plan: Mapping[str, Any] | None = None,
    scratch: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> None:
    """Predict all windows of a raster and hand blended logits to the sinks, block by block.

    Windows without any data are not predicted: their logits are 0.

    Args:
        logits: Raw values (n, c, h, w) -> logits (n, k, h, w).
        source: The raster.
        sinks: Where answers go; one that has some rows already is given the others.
        prepare: From a window as it was read to raw values (c, h, w).
        window: Pixels of a side of a window, at most.
        overlap: The least share of a window that its neighbour covers too, in [0, 1).
        batch: Windows that go through the network together.
        plan: What makes the answers what they are; a run that was killed goes on where it is the
            same.
        scratch: A folder for what would take much memory; by default the system's.
        progress: Told what is done.

    Raises:
        InputError: A window that cannot be read, an output that cannot be written.
    """
    grid, about = planned(source, window, overlap, batch, plan or {})
    try:
        start = min(sink.begin(grid, about) for sink in sinks)
        if start < grid.rows:
            rows = range(start, grid.rows)
            predict_rows(logits, source, sinks, grid, rows, prepare, batch, scratch, progress)
        for sink in sinks:
            sink.finish(progress)
    finally:
        for sink in sinks:
            sink.close()


def planned(
    source: Source, window: int, overlap: float, batch: int, plan: Mapping[str, Any]
) -> tuple[Grid, dict[str, Any]]:
    """The windows of a raster, and what makes the answers what they are."""
    grid = Grid(source.height, source.width, (window, window), overlap)
    size = [source.height, source.width]
    return grid, {
        **plan, "window": grid.window, "overlap": overlap, "batch": batch, "size": size
    }  # fmt: skip


def predict_rows(
    logits: Predictor,
    source: Source,
    sinks: Sequence[Sink],
    grid: Grid,
    rows: range,
    prepare: Prepare,
    batch: int,
    scratch: Path | None,
    progress: Progress,
) -> None:
    """Predict some rows of windows, and those above that reach into them.

    What sinks are given of a row does not depend on which other rows are predicted with it.

    Args:
        logits: As for `predict_raster`, like all that is not named here.
        source: See `logits`.
        sinks: See `logits`.
        grid: The windows of the raster.
        rows: Which rows of windows, one after the other.
        prepare: See `logits`.
        batch: See `logits`.
        scratch: See `logits`.
        progress: See `logits`.
    """
    start, total = rows.start, grid.rows * grid.columns
    begun = grid.reaching(start)
    done = begun * grid.columns

    def write(found: tuple[Block, Tensor | None, bool]) -> None:
        block, missing, last = found
        for sink in sinks:
            sink.write(block, missing)
            if last:
                sink.end(block.row)

    network = _Network(logits)
    read = _windows(source, grid, range(begun, rows.stop), prepare, batch)
    with blending(grid, scratch) as blend, ahead(read) as windows, behind(write) as written:
        for group in windows:
            for found, answer in zip(group, network(group), strict=True):
                block = blend.add(found.row, found.column, answer, found.row == begun)
                if found.row >= start:
                    missing, (h, w) = found.missing, block.logits.shape[1:]
                    holes = None if missing is None else missing[:h, :w]
                    written((block, holes, found.column == grid.columns - 1))
                done += 1
            progress("predicting", done, total)


def _windows(
    source: Source, grid: Grid, rows: range, prepare: Prepare, batch: int
) -> Iterator[list[_Window]]:
    """The windows in groups that never depend on where a run began."""
    for row in rows:
        for first in range(0, grid.columns, batch):
            columns = range(first, min(first + batch, grid.columns))
            group = []
            for column in columns:
                found = source.read(grid.tops[row], grid.lefts[column], *grid.window)
                group.append(_Window(row, column, prepare(found), found.missing))
            yield group


class _Network:
    """Predicts groups of windows, but none that has no data: its logits do not matter."""

    def __init__(self, logits: Predictor) -> None:
        self._logits = logits
        self._nothing: Tensor | None = None

    @torch.no_grad()
    def __call__(self, group: list[_Window]) -> list[Tensor]:
        wanted = [found for found in group if not found.empty]
        if self._nothing is None and not wanted:
            wanted = group  # somebody has to say how many logits there are
        answers: Iterator[Tensor] = iter(())
        if wanted:
            answers = iter(self._logits(torch.stack([found.values for found in wanted])))
        found = [next(answers) if window in wanted else None for window in group]
        if self._nothing is None:
            self._nothing = torch.zeros_like(next(one for one in found if one is not None))
        return [self._nothing if answer is None else answer for answer in found]
