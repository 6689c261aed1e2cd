"""Where a pixel of the picture lies on a map.

A map of (i, j) cells covers an area of (a, b) picture pixels from the upper left corner on: the
picture itself, or more where the network padded it. Pixel p of an axis lies in cell

    floor((p + 1/2) i / a)
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

Area = tuple[float, float]
"""Rows and columns in units of picture pixels."""


def cell(at: tuple[int, int], size: Sequence[int], covers: Area) -> tuple[int, int]:
    """The cell (row, column) of a map of `size` that covers the picture's pixel `at`."""
    row, column = (
        min(int((2 * place + 1) * cells / (2 * area)), cells - 1)
        for place, cells, area in zip(at, size, covers, strict=True)
    )
    return row, column


def cells(side: int, count: int, area: float) -> Int[Tensor, " side"]:
    """For each pixel of an axis of the picture, its cell among `count`."""
    middle = 2 * torch.arange(side, dtype=torch.float64) + 1
    return (middle * count / (2 * area)).long().clamp(max=count - 1)


def resampled(weights: Float[Tensor, "i j"], size: Sequence[int]) -> Float[Tensor, "h w"]:
    """Weights on another grid over the same area: a cell's weight is shared by area.

    The sum stays what it is.
    """
    if weights.shape == torch.Size(size):
        return weights
    down, across = (
        _overlaps(source, target, weights)
        for source, target in zip(weights.shape, size, strict=True)
    )
    return down @ weights @ across.mT


def _overlaps(source: int, target: int, like: Tensor) -> Float[Tensor, "target source"]:
    """The part of each source cell that lies in each target cell of one axis."""
    edges = torch.arange(source + 1, dtype=like.dtype, device=like.device)
    ends = torch.arange(target + 1, dtype=like.dtype, device=like.device) * (source / target)
    high = torch.minimum(ends[1:, None], edges[1:])
    low = torch.maximum(ends[:-1, None], edges[:-1])
    return (high - low).clamp(min=0)
