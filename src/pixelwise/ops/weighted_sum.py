"""Sum a map over its pixels, or over its channels, with weights for them.

    s_c = sum_n w_n x_cn,   or   s_n = sum_c w_c x_cn

The gradient of x has rank one. The map is handed on beside the sum, so that this is added, block
by block, to the gradient of whatever else uses the map; see `pooling`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import (
    Gradients,
    Plain,
    hand_over,
    taken_over,
    twice_differentiable,
)
from pixelwise.ops.running.blocks import map_blocks
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.running.products import over_channels, over_pixels


def reference(
    x: Float[Tensor, "b c n"], weights: Float[Tensor, "b _"], pixels: bool
) -> Float[Tensor, "b _"]:
    """The sums over `pixels`, or else over channels, in the type of statistics."""
    wide = x.to(statistics_dtype(x))
    return torch.einsum("bcn,bn->bc" if pixels else "bcn,bc->bn", wide, weights)


def weighted_sum(
    x: Float[Tensor, "b c n"], weights: Float[Tensor, "b _"], *, pixels: bool
) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b _"]]:
    """The map to go on with, and the sums; those and `weights` are of the type of statistics."""
    with full_precision(x):
        if choice.form("weighted_sum", x) in ("plain", "traced"):
            return x, reference(x, weights, pixels)
        onward, sums = _WeightedSum.apply(x, weights, pixels)
        return onward, sums


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return lambda x, weights: (x, reference(x, weights, ctx.pixels)), ctx.saved_tensors


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, pixels: bool) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, weights)
        ctx.pixels = pixels
        return x, (over_pixels if pixels else over_channels)(x, weights)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor, d_sums: Tensor) -> Gradients:
        x, weights = ctx.saved_tensors
        d_x = grad if taken_over(grad) else grad.clone(memory_format=torch.preserve_format)
        column, row = (d_sums, weights) if ctx.pixels else (weights, d_sums)
        column, row = column.to(x.dtype), row.to(x.dtype)
        for i, rows, columns in map_blocks(x):
            d_x[i, rows, columns].addcmul_(column[i, rows, None], row[i, None, columns])
        d_weights = (over_channels if ctx.pixels else over_pixels)(x, d_sums)
        return hand_over(d_x), d_weights, None
