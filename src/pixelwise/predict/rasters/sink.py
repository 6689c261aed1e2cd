"""Where the answers of a raster go, block by block."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.predict.rasters.blending import Block
from pixelwise.predict.rasters.geotiff import Place, write_geotiff
from pixelwise.predict.rasters.grid import Grid
from pixelwise.predict.rasters.parts import Parts
from pixelwise.tasks.bands import Bands

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much."""


@runtime_checkable
class Sink(Protocol):
    """Takes finished blocks, a row of windows after the other."""

    def begin(self, grid: Grid, plan: Mapping[str, Any]) -> int:
        """How many rows of windows it has already, of a run with the same plan."""

    def write(self, block: Block, missing: Bool[Tensor, "h w"] | None) -> None:
        """A block, and its pixels without data; None: all have some."""

    def end(self, row: int) -> None:
        """All blocks of a row of windows were written."""

    def finish(self, progress: Progress) -> None:
        """All rows were written."""

    def close(self) -> None:
        """Called at last, whatever happened."""


class ArraySink:
    """Keeps the answers in memory, as `values` (bands, h, w).

    Args:
        bands: What is kept.
    """

    def __init__(self, bands: Bands) -> None:
        self.bands = bands
        self.values: NDArray[Any] = np.empty((0, 0, 0), bands.dtype)

    def begin(self, grid: Grid, plan: Mapping[str, Any]) -> int:
        """See `Sink`."""
        self.values = np.empty((len(self.bands.names), grid.height, grid.width), self.bands.dtype)
        return 0

    def write(self, block: Block, missing: Bool[Tensor, "h w"] | None) -> None:
        """See `Sink`."""
        numbers = self.bands.numbers(block.logits, missing)
        height, width = numbers.shape[1:]
        self.values[:, block.top : block.top + height, block.left : block.left + width] = numbers

    def end(self, row: int) -> None:
        """See `Sink`."""

    def finish(self, progress: Progress) -> None:
        """See `Sink`."""

    def close(self) -> None:
        """See `Sink`."""


class RowSink:
    """Writes rows for somebody who puts them together; see `GeoTIFFSink.put`.

    Args:
        parts: Where they are written; the folder is made.
        bands: What is written.
    """

    def __init__(self, parts: Parts, bands: Bands) -> None:
        self.parts, self.bands = parts, bands
        parts.folder.mkdir()

    def begin(self, grid: Grid, plan: Mapping[str, Any]) -> int:
        """See `Sink`."""
        return 0

    def write(self, block: Block, missing: Bool[Tensor, "h w"] | None) -> None:
        """See `Sink`."""
        self.parts.write(block.row, block.left, self.bands.numbers(block.logits, missing))

    def end(self, row: int) -> None:
        """See `Sink`."""
        self.parts.end(row)

    def finish(self, progress: Progress) -> None:
        """See `Sink`."""

    def close(self) -> None:
        """See `Sink`."""
        self.parts.close()


class GeoTIFFSink:
    """A tiled, compressed GeoTIFF that is there when it is whole.

    Until then, its parts are in a hidden folder beside it: a run that was killed goes on with them.

    Args:
        path: The file.
        bands: What is written.
        place: Where on Earth it lies.
        cog: Write a cloud-optimised GeoTIFF.
        lost: Parts of the raster that could not be read, as the source notes them; None: it
            stops there.
        say: Told in a line what is done about an earlier run.
        then: Called when the file is there; a run that is killed meanwhile predicts nothing again.
    """

    def __init__(
        self,
        path: Path,
        bands: Bands,
        place: Place,
        *,
        cog: bool = False,
        lost: dict[tuple[int, int, int, int], None] | None = None,
        say: Callable[[str], None] = lambda line: None,
        then: Callable[[Progress], None] | None = None,
    ) -> None:
        self.path, self.bands, self.place, self.cog = path, bands, place, cog
        self._lost, self._say, self._then = lost, say, then
        self._parts: Parts | None = None
        self._there = 0

    def begin(self, grid: Grid, plan: Mapping[str, Any]) -> int:
        """See `Sink`."""
        folder = self.path.with_name(f".{self.path.name}.unfinished")
        self._parts = Parts(folder, grid, len(self.bands.names), self.bands.dtype)
        about = {"bands": list(self.bands.names), "dtype": self.bands.dtype}
        self._there, said = self._parts.begin({**plan, **about}, self._lost)
        if said:
            self._say(f"{self.path}: {said}")
        return self._there

    def missing(self) -> list[int]:
        """The rows of windows that are not there yet."""
        assert self._parts is not None
        return self._parts.missing()

    def put(self, row: int, content: bytes) -> None:
        """A row of windows that was predicted elsewhere, as `Parts.content` gives it."""
        assert self._parts is not None
        self._parts.put(row, content, self._lost or ())

    def write(self, block: Block, missing: Bool[Tensor, "h w"] | None) -> None:
        """See `Sink`."""
        if block.row >= self._there:
            assert self._parts is not None
            numbers = self.bands.numbers(block.logits, missing)
            self._parts.write(block.row, block.left, numbers)

    def end(self, row: int) -> None:
        """See `Sink`."""
        if row >= self._there:
            assert self._parts is not None
            self._parts.end(row, self._lost or ())

    def finish(self, progress: Progress) -> None:
        """See `Sink`."""
        assert self._parts is not None
        write_geotiff(self.path, self.bands, self.place, self._parts, progress, cog=self.cog)
        if self._then is not None:
            self._then(progress)
        self._parts.remove()

    def close(self) -> None:
        """See `Sink`."""
        if self._parts is not None:
            self._parts.close()
