"""Where a bilinear resize with aligned corners takes one pixel from.

y_at = sum_n r_n x_n        at most four n, with positive r_n that sum to one
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.resizing import neighbours

Corners = list[tuple[int, int, float]]


def corners(at: tuple[int, int], size: tuple[int, int], source: tuple[int, int]) -> Corners:
    """(row, column, share) of the pixels in a `source`-sized map that make pixel `at`.

    While a program is traced there are always four, of which some may have no share.
    """
    rows, columns = (_line(*line) for line in zip(at, size, source, strict=True))
    return [(i, j, share * other) for i, share in rows for j, other in columns]


def spread(
    weights: Float[Tensor, "b heads i j"], pool: int, size: tuple[int, int]
) -> Float[Tensor, "b heads h w"]:
    """Share the weight of each pooled pixel evenly among the pixels that it was pooled from."""
    if pool == 1:
        return weights
    full = weights.new_zeros(*weights.shape[:2], *size)
    even = weights.repeat_interleave(pool, 2).repeat_interleave(pool, 3) / pool**2
    full[:, :, : even.shape[2], : even.shape[3]] = even  # rows left over are in no window
    return full


def _line(at: int, size: int, source: int) -> list[tuple[int, float]]:
    first, second = neighbours(at, size, source)
    share: Any = at * (source - 1) / torch.sym_max(1, size - 1) - first
    if torch.compiler.is_compiling():
        return [(first, 1 - share), (second, share)]
    return [(first, 1 - share), (second, share)] if second > first else [(first, 1.0)]
