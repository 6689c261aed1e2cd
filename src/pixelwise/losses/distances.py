"""Exact Euclidean distances to the nearest pixel of a set.

    d(r, c)^2 = min over c' of ((c - c')^2 + g(r, c')^2),    g = distance along the column

The minimum is taken over growing |c - c'|, until none further away can be less.

Source: Rosenfeld and Pfaltz, "Distance Functions on Digital Pictures", Pattern Recognition 1, 1968,
https://doi.org/10.1016/0031-3203(68)90013-7; Saito and Toriwaki, "New algorithms for Euclidean
distance transformation of an n-dimensional digitized picture with applications", Pattern
Recognition 27, 1994, https://doi.org/10.1016/0031-3203(94)90133-3, for the two passes.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

EXACT = 2**24
"""float32 holds all whole numbers up to here."""
AT_ONCE = {"cpu": 2**16}
"""Pixels looked at together, so that they stay in a processor's cache; 2^24 on other devices."""
PAUSE = 8
"""So many steps are made between looks at whether more are needed."""


@torch.no_grad()
def distances(inside: Bool[Tensor, "m h w"]) -> Float[Tensor, "m h w"]:
    """Distance in pixels of every pixel's centre to that of the nearest pixel inside; inf: none."""
    pictures, height, width = inside.shape
    wide = torch.float32 if height**2 + width**2 < EXACT else torch.float64
    found = _along_columns(inside, wide).square().view(pictures * height, width)
    if found.numel():
        for rows in torch.split(found, max(1, AT_ONCE.get(inside.device.type, EXACT) // width)):
            _along_rows(rows)
    return found.sqrt_().float().view(pictures, height, width)


def _along_columns(inside: Tensor, wide: torch.dtype) -> Tensor:
    """Distance to the nearest pixel inside in the same column; inf: none."""
    rows = torch.arange(inside.shape[1], device=inside.device, dtype=wide)[None, :, None]
    above = torch.where(inside, rows, -torch.inf).cummax(dim=1).values
    below = torch.where(inside, rows, torch.inf).flip(1).cummin(dim=1).values.flip(1)
    return torch.minimum(rows - above, below - rows)


def _along_rows(squares: Tensor) -> None:
    """Replace each square by the least of its row, each plus its own distance squared."""
    first, width = squares.clone(), squares.shape[1]
    for step in range(1, width):
        if step % PAUSE == 1 and bool(squares.max() <= step**2):
            return
        further = first + step**2
        right, left = squares[:, step:], squares[:, :-step]
        torch.minimum(right, further[:, :-step], out=right)
        torch.minimum(left, further[:, step:], out=left)
