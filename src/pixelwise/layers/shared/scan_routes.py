"""Ways through a map, for scans: four directions through one or two sequences of its pixels.

cross            by rows, by columns, and both backwards
rows             by rows, four times
rows_both_ways   by rows, twice, and twice backwards
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

DIRECTIONS = 4


class Route(NamedTuple):
    """A way through a map."""

    columns: bool
    """Whether every other direction goes by columns."""
    backwards: int
    """How many directions, the last ones, start at the end."""
    names: str | tuple[str, ...]
    """What the directions are called."""

    @property
    def sequences(self) -> int:
        """How many sequences there are; direction i takes the sequence i modulo that."""
        return 1 + self.columns

    def lines(self, seen: Float[Tensor, "b h w e"]) -> Float[Tensor, "b s l e"]:
        """The sequences of pixels."""
        rows = seen.flatten(1, 2)
        if not self.columns:
            return rows[:, None]
        return torch.stack([rows, seen.transpose(1, 2).flatten(1, 2)], dim=1)

    def merged(
        self, y: Float[Tensor, "b s l e"], like: Float[Tensor, "b h w _"]
    ) -> Float[Tensor, "b h w e"]:
        """Sequences as maps of the size of another, added."""
        found = self.placed(y[:, 0], 0, like)
        return found + self.placed(y[:, 1], 1, like) if self.columns else found

    def placed(
        self, y: Float[Tensor, "b l e"], direction: int, like: Float[Tensor, "b h w _"]
    ) -> Float[Tensor, "b h w e"]:
        """One sequence, that of a direction, as a map of the size of another."""
        height, width = like.shape[1:3]
        if direction % self.sequences:
            return y.reshape(y.shape[0], width, height, y.shape[2]).transpose(1, 2)
        return y.reshape(y.shape[0], height, width, y.shape[2])

    def place(self, direction: int, at: tuple[int, int], like: Float[Tensor, "b h w _"]) -> int:
        """Where the pixel `at` lies in the sequence of a direction."""
        (row, column), (height, width) = at, like.shape[1:3]
        return column * height + row if direction % self.sequences else row * width + column


ROUTES = {
    "cross": Route(
        True, 2, ("along rows", "along columns", "back along rows", "back along columns")
    ),
    "rows": Route(False, 0, "direction"),
    "rows_both_ways": Route(False, 2, "direction"),
}
