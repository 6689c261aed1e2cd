"""A map cut into windows by a regular grid that may be shifted.

With a shift s the map is rolled up and left by s before it is cut, and rolled back at the end.
Pixels that meet in a window only by rolling are kept apart by a large negative score. A map that
windows do not tile is padded below and to the right with zeros, which take part.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

APART = -100.0
"""Added to the score of pixels that are not neighbours, as Swin does."""


@dataclass(frozen=True)
class ShiftedWindows:
    """The grid: rows and columns of a window, and the shift of them all."""

    size: tuple[int, int]
    shift: int

    def count(self, x: Tensor) -> tuple[Any, Any]:
        """Rows and columns of windows: integers, or symbols in a traced graph."""
        rows, columns = self.size
        return (x.shape[2] + rows - 1) // rows, (x.shape[3] + columns - 1) // columns

    def rolled(self, x: Tensor) -> Tensor:
        """`x`, padded to whole windows and rolled."""
        (n, m), (rows, columns) = self.count(x), self.size
        below, right = n * rows - x.shape[2], m * columns - x.shape[3]
        if torch.compiler.is_compiling() or below or right:
            x = F.pad(x, (0, right, 0, below))
        return x.roll((-self.shift, -self.shift), (2, 3)) if self.shift else x

    def unrolled(self, y: Tensor, x: Tensor) -> Tensor:
        """`y`, rolled back and cut to the size of `x`."""
        y = y.roll((self.shift, self.shift), (2, 3)) if self.shift else y
        if not torch.compiler.is_compiling() and y.shape[2:] == x.shape[2:]:
            return y
        rows, columns = (torch.arange(size, device=x.device) for size in x.shape[2:])
        return y.index_select(2, rows).index_select(3, columns)

    def split(self, part: Float[Tensor, "b m d i j"]) -> Float[Tensor, "b n m t d"]:
        """A rolled map as n windows of t pixels."""
        rows, columns = self.size
        tiles = torch.unflatten(torch.unflatten(part, 4, (-1, columns)), 3, (-1, rows))
        return tiles.permute(0, 3, 5, 1, 4, 6, 2).flatten(4, 5).flatten(1, 2)

    def join(
        self, seen: Float[Tensor, "b n m t d"], rolled: Float[Tensor, "b c i j"]
    ) -> Float[Tensor, "b c p"]:
        """The windows of a map like `rolled`, put together again."""
        tiles = torch.unflatten(torch.unflatten(seen, 3, self.size), 1, self.count(rolled))
        return tiles.permute(0, 3, 6, 1, 4, 2, 5).flatten(1, 2).flatten(2)

    def apart(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "windows t t"]:
        """What is added to the score of two pixels of a window of the rolled map: 0 or -100."""
        regions = []
        for count, side in zip(self.count(x), self.size, strict=True):
            place = torch.arange(count * side, device=x.device)
            regions.append(self._regions(place, count * side, side).view(count, side))
        both = regions[0][:, None, :, None] * 3 + regions[1][None, :, None, :]
        tokens = both.flatten(2).flatten(0, 1)
        return (tokens[:, :, None] != tokens[:, None]).float() * APART

    def places(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Of each pixel of the rolled map its number in its window, and the window's lines.

        Those are the rows of the window's first, second, ... line for each row, and the columns
        likewise.
        """
        own, places = [], []
        for count, side in zip(self.count(x), self.size, strict=True):
            place = torch.arange(count * side, device=x.device)
            own.append(place % side)
            places.append([place - place % side + other for other in range(side)])
        return own[0][:, None] * self.size[1] + own[1], places[0], places[1]

    def apart_by_place(self, x: Tensor) -> Float[Tensor, "t i j"]:
        """As `apart`, of each pixel of the rolled map for each pixel of its window."""
        regions = [
            self._regions(torch.arange(count * side, device=x.device), count * side, side)
            for count, side in zip(self.count(x), self.size, strict=True)
        ]
        _, rows, columns = self.places(x)
        mine = regions[0][:, None] * 3 + regions[1]
        theirs = [regions[0][r][:, None] * 3 + regions[1][c] for r in rows for c in columns]
        return (torch.stack(theirs) != mine).float() * APART

    def offsets(self) -> Tensor:
        """Where a table of all offsets has that from each pixel of a window to each other one."""
        rows, columns = self.size
        down, right = torch.arange(rows), torch.arange(columns)
        row = (down[:, None] - down + rows - 1)[:, None, :, None]
        column = (right[:, None] - right + columns - 1)[None, :, None]
        return (row * (2 * columns - 1) + column).reshape(rows * columns, -1)

    def _regions(self, place: Tensor, total: Any, side: int) -> Tensor:
        """0, 1 or 2: where rolling brought a place of the map beside its window's others."""
        return (place >= total - side).long() + (place >= total - self.shift).long()
