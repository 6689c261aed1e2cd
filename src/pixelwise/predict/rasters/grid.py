"""Where the windows of a raster lie, row by row, and what each of them finishes."""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.predict.windows import tile_starts, tile_weights


@dataclass(frozen=True)
class Grid:
    """Windows of one size that cover a raster; each lies inside of it.

    Args:
        height: Of the raster, pixels.
        width: Likewise.
        window: Largest (height, width) of a window, pixels.
        overlap: The least fraction of a window that its neighbour covers too, in [0, 1).

    Raises:
        InputError: A window smaller than one pixel, or an overlap outside [0, 1).
    """

    height: int
    width: int
    window: tuple[int, int]
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if min(self.window) < 1:
            raise InputError(f"window={self.window}: must be at least 1 pixel; e.g. (1024, 1024)")
        if not 0 <= self.overlap < 1:
            raise InputError(f"overlap={self.overlap}: must be at least 0 and below 1; e.g. 0.25")
        inside = min(self.window[0], self.height), min(self.window[1], self.width)
        object.__setattr__(self, "window", inside)

    @cached_property
    def tops(self) -> list[int]:
        """The first row of pixels of every row of windows."""
        return tile_starts(self.height, self.window[0], self.overlap)

    @cached_property
    def lefts(self) -> list[int]:
        """The first column of pixels of every column of windows."""
        return tile_starts(self.width, self.window[1], self.overlap)

    @cached_property
    def row_weights(self) -> Float[Tensor, "rows h"]:
        """How much a window counts at each of its rows of pixels."""
        return tile_weights(self.height, self.window[0], self.tops)

    @cached_property
    def column_weights(self) -> Float[Tensor, "columns w"]:
        """How much a window counts at each of its columns of pixels."""
        return tile_weights(self.width, self.window[1], self.lefts)

    @property
    def rows(self) -> int:
        """How many rows of windows there are."""
        return len(self.tops)

    @property
    def columns(self) -> int:
        """How many windows a row has."""
        return len(self.lefts)

    def until_row(self, row: int) -> int:
        """The row of pixels that the next row of windows begins at: all above is finished."""
        return self.tops[row + 1] if row + 1 < self.rows else self.height

    def until_column(self, column: int) -> int:
        """Likewise, along a row of windows."""
        return self.lefts[column + 1] if column + 1 < self.columns else self.width

    def reaching(self, row: int) -> int:
        """The first row of windows that holds a pixel which a row of windows finishes, or later."""
        return next(i for i in range(row + 1) if self.tops[i] + self.window[0] > self.tops[row])

    @cached_property
    def carried(self) -> int:
        """The most rows of pixels that a row of windows leaves unfinished."""
        ends = (self.tops[i] + self.window[0] - self.until_row(i) for i in range(self.rows))
        return max(ends)
