"""Convolution whose kernel reads the map wherever offsets point.

For an output pixel p, taps k at p_k, and channels in groups that share offsets,

    y_p = b + sum_k m_pk W_k x(p_k + o_pk)     x(r): bilinear between pixels, zero outside

Offsets are (row, column) pairs in pixels, tap by tap within each group; factors m are one per tap.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Pair = tuple[int, int]


class Places(NamedTuple):
    """Where taps are before the offsets move them."""

    stride: Pair
    padding: Pair
    dilation: Pair

    def of(self, tap: int, weight: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns of one tap for all output pixels of `like`."""
        place = tap // weight.shape[3], tap % weight.shape[3]  # divmod cannot be traced
        lines = (
            torch.arange(count, device=like.device, dtype=like.dtype) * step - pad + nth * apart
            for count, step, pad, nth, apart in zip(
                like.shape[-2:], self.stride, self.padding, place, self.dilation, strict=True
            )
        )
        rows, columns = lines
        return rows[:, None], columns


def reference(
    x: Float[Tensor, "b c h w"],
    offset: Float[Tensor, "b d i j"],
    weight: Float[Tensor, "o e k l"],
    bias: Float[Tensor, " o"] | None,
    mask: Float[Tensor, "b f i j"] | None,
    places: Places,
) -> Float[Tensor, "b o i j"]:
    """Tap by tap: read the map between four pixels, times its factor, times its matrix."""
    b, channels, height, width = x.shape
    rows, columns = offset.shape[2:]
    outputs, per_group, kernel = weight.shape[0], weight.shape[1], weight.shape[2:]
    taps = kernel[0] * kernel[1]
    groups, sharing = channels // per_group, offset.shape[1] // (2 * taps)
    offsets = offset.view(b, sharing, taps, 2, rows, columns)
    factors = None if mask is None else mask.view(b, sharing, taps, 1, rows, columns)
    parts = x.view(b * sharing, channels // sharing, height, width)
    matrices = weight.view(groups, outputs // groups, per_group, taps)
    y = x.new_zeros(b, groups, outputs // groups, rows * columns)
    for tap in range(taps):
        row, column = places.of(tap, weight, offset)
        down, right = row + offsets[:, :, tap, 0], column + offsets[:, :, tap, 1]
        seen = _between_pixels(parts, down.flatten(0, 1), right.flatten(0, 1))
        if factors is not None:
            seen = seen.view(b, sharing, -1, rows, columns) * factors[:, :, tap]
        y = y + torch.matmul(matrices[..., tap], seen.reshape(b, groups, per_group, -1))
    y = y.view(b, outputs, rows, columns)
    return y if bias is None else y + bias[:, None, None]


def _between_pixels(parts: Tensor, down: Tensor, right: Tensor) -> Tensor:
    (height, width), pixels = parts.shape[2:], parts.flatten(2)
    top, left = down.detach().floor(), right.detach().floor()
    below, beside = down - top, right - left
    seen = parts.new_zeros(*parts.shape[:2], *down.shape[1:])
    for row, row_share in ((top, 1 - below), (top + 1, below)):
        for column, column_share in ((left, 1 - beside), (left + 1, beside)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = torch.where(inside, row * width + column, 0).to(torch.int64)
            share = torch.where(inside, row_share * column_share, 0)
            read = pixels.gather(2, place.flatten(1)[:, None].expand(-1, pixels.shape[1], -1))
            seen = seen + read.view(seen.shape) * share[:, None]
    return seen
