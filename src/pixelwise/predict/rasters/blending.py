"""Blending the logits of windows that overlap, with no more in memory than one window.

The formula is that of `predict.windows`. A pixel is finished when the last window that holds it was
added. What a row of windows leaves unfinished is kept, column by column, until the next row comes.
"""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.predict.rasters.grid import Grid

MOST_KEPT = 128 * 2**20
"""Bytes of unfinished logits that are kept in memory; more of them go to a file."""


@dataclass(frozen=True)
class Block:
    """A finished part of a raster.

    Args:
        top: Its first row of pixels; `left`: its first column.
        logits: (k, h, w), float32 at least.
        row: Which row of windows finished it.
    """

    row: int
    top: int
    left: int
    logits: Float[Tensor, "k h w"]


class Strip:
    """Unfinished logits along a raster: zeros at first.

    Args:
        channels: Logits per pixel.
        height: Rows of pixels.
        width: Columns of pixels.
        dtype: Of the logits.
        file: Where they are kept; None: in memory.
    """

    def __init__(
        self, channels: int, height: int, width: int, dtype: torch.dtype, file: IO[bytes] | None
    ) -> None:
        self._shape, self._dtype, self._file = (channels, height), dtype, file
        self._column = channels * height * torch.empty(0, dtype=dtype).element_size()
        self._kept = torch.zeros(0)
        if file is None:
            self._kept = torch.zeros(channels, height, width, dtype=dtype)
        else:
            os.ftruncate(file.fileno(), self._column * width)

    def read(self, left: int, right: int) -> Float[Tensor, "k h w"]:
        """Columns left..right."""
        if self._file is None:
            return self._kept[:, :, left:right].clone()
        content = bytearray(
            os.pread(self._file.fileno(), self._column * (right - left), self._column * left)
        )
        columns = torch.frombuffer(content, dtype=self._dtype) if content else self._kept
        return columns.reshape(right - left, *self._shape).permute(1, 2, 0)

    def write(self, left: int, values: Float[Tensor, "k h w"]) -> None:
        """Columns from `left` on; rows that `values` lacks become zeros."""
        whole = values.new_zeros(*self._shape, values.shape[2])
        whole[:, : values.shape[1]] = values
        if self._file is None:
            self._kept[:, :, left : left + values.shape[2]] = whole
            return
        columns: np.ndarray = whole.permute(2, 0, 1).contiguous().numpy()
        content, place = memoryview(columns.tobytes()), self._column * left
        while content:  # on a disk that is full, less is written than was asked for
            done = os.pwrite(self._file.fileno(), content, place)
            content, place = content[done:], place + done


class Blend:
    """Takes the windows of a grid, row by row from left to right; gives finished blocks.

    Args:
        grid: The windows.
        folder: Where unfinished logits are kept that would take much memory.
    """

    def __init__(self, grid: Grid, folder: Path | None = None) -> None:
        self.grid, self._folder = grid, folder
        self._strip: Strip | None = None
        self._pending = torch.zeros(0)
        self._file: IO[bytes] | None = None

    def add(self, row: int, column: int, logits: Float[Tensor, "k h w"], first: bool) -> Block:
        """The block that a window finishes.

        Args:
            row: Of windows; `column` likewise.
            column: See `row`.
            logits: Of the window.
            first: Nothing was added of the row of windows above.
        """
        grid, (h, w) = self.grid, self.grid.window
        logits = logits.to("cpu", torch.promote_types(logits.dtype, torch.float32))
        strip = self._strip_for(logits)
        left = grid.lefts[column]
        seen = left if column == 0 else grid.lefts[column - 1] + w
        fresh = logits.new_zeros(len(logits), h, left + w - seen)
        if not first:
            above = strip.read(seen, left + w)
            fresh[:, : above.shape[1]] = above[:, :h]
        if column:
            kept = self._pending[:, :, left - grid.lefts[column - 1] :]
            fresh = torch.cat([kept, fresh], dim=2)
        weight = torch.outer(grid.row_weights[row], grid.column_weights[column])
        self._pending = fresh.add_(logits * weight.to(logits))
        ready, done = grid.until_row(row) - grid.tops[row], grid.until_column(column) - left
        if grid.carried:
            strip.write(left, self._pending[:, ready:, :done])
        return Block(row, grid.tops[row], left, self._pending[:, :ready, :done].clone())

    def _strip_for(self, logits: Tensor) -> Strip:
        if self._strip is None:
            shape = len(logits), self.grid.carried, self.grid.width
            if math.prod(shape) * logits.element_size() > MOST_KEPT:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - see `close`
            self._strip = Strip(*shape, logits.dtype, self._file)
        return self._strip

    def close(self) -> None:
        """Remove what was kept."""
        if self._file is not None:
            self._file.close()


@contextmanager
def blending(grid: Grid, folder: Path | None = None) -> Iterator[Blend]:
    """A `Blend` that leaves nothing behind."""
    blend = Blend(grid, folder)
    try:
        yield blend
    finally:
        blend.close()
