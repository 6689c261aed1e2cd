"""Where a point of a picture lies in a heat map, and back.

Points are in pixels of the picture, the centre of the first pixel at (0.5, 0.5). Cells are those of
the map, whole numbers at their centres. With the stride s and a map of S cells for I = s S pixels,

    halves:    cell = p / s - 1/2                       pixels and cells cover the same ground: ours
    integers:  cell = (p - 1/2) / s                     first centres on each other (SimpleBaseline)
    corners:   cell = (p - 1/2) (S - 1) / (I - 1)       first and last centres on each other (UDP)

Only "halves" stays right under a mirror and at any stride; the others are what published networks
were trained with. Two strides are (along x, along y).
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.checks import one_of

PLACEMENTS = ("halves", "integers", "corners")

Side = int | torch.SymInt
"""A number of rows or columns, which `torch.export` may leave open."""
Size = tuple[Side, Side]
Stride = int | float | tuple[float, float]


def cells_of(
    points: Float[Tensor, "*b 2"], stride: Stride, size: Size, placement: str = "halves"
) -> Float[Tensor, "*b 2"]:
    """The cells of points, for a map of `size` (height, width)."""
    steps, shift, cell_shift = _steps(points, stride, size, placement)
    return (points - shift) / steps - cell_shift


def points_of(
    cells: Float[Tensor, "*b 2"], stride: Stride, size: Size, placement: str = "halves"
) -> Float[Tensor, "*b 2"]:
    """The points of cells: the inverse of `cells_of`."""
    steps, shift, cell_shift = _steps(cells, stride, size, placement)
    return (cells + cell_shift) * steps + shift


def _steps(like: Tensor, stride: Stride, size: Size, placement: str) -> tuple[Tensor, float, float]:
    """Pixels from cell to cell along (x, y); the first centre in pixels, and in cells."""
    one_of(PLACEMENTS, placement=placement)
    strides = stride if isinstance(stride, tuple) else (float(stride), float(stride))
    if placement == "corners":
        height, width = cast(tuple[int, int], size)
        strides = (
            (strides[0] * width - 1) / max(width - 1, 1),
            (strides[1] * height - 1) / max(height - 1, 1),
        )
    steps = torch.tensor(strides, dtype=like.dtype, device=like.device)
    return (steps, 0.0, 0.5) if placement == "halves" else (steps, 0.5, 0.0)
