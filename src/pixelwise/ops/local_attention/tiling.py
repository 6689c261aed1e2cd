"""Tiles of neighbouring queries, and the halo of keys that each tile sees."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

TILE = 8
"""Rows and columns of the map under one tile of queries."""


def mirrored(position: Tensor, size: Any) -> Tensor:
    """Which of `size` rows a position is, once the rows are mirrored at both ends.

    Positions even further out, which no query sees, are row 0.
    """
    return (size - 1 - (size - 1 - position.abs()).abs()).clamp(min=0)


class Tiling(NamedTuple):
    """Windows, and tiles of queries that share a halo."""

    kernel_size: int
    stride: int
    side: int
    """Rows and columns of queries in a tile."""

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.side * self.stride

    @property
    def halo(self) -> int:
        """Rows and columns of keys that a tile sees."""
        return self.step - self.stride + self.kernel_size

    def length(self, tiles: int) -> int:
        """Rows or columns of keys that `tiles` neighbouring tiles see."""
        return (tiles - 1) * self.step + self.halo

    def mask(self, like: Tensor) -> Tensor:
        """0 for the keys of the halo (columns) in the window of a query (rows), else -inf."""
        first = torch.arange(self.side, device=like.device)[:, None] * self.stride
        position = torch.arange(self.halo, device=like.device)
        inside = (position >= first) & (position < first + self.kernel_size)
        both = inside[:, None, :, None] & inside[None, :, None, :]
        mask = like.new_zeros(self.side**2, self.halo**2)
        return mask.masked_fill(~both.view(mask.shape), float("-inf"))


def tile_weights(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    """The weights (tiles, queries, keys) of each tile's queries for its keys."""
    score = torch.baddbmm(mask, query.mT, key, alpha=query.shape[1] ** -0.5)
    return score.softmax(dim=-1)
