"""The mean and the largest of the pixels of every channel.

    m_c = (1 / N) sum_n x_cn,   u_c = max_n x_cn

The pools hand the map on beside their result; see `pooling`. What uses that map sends its gradient
back through here, where the pools' own gradients are added to it in place: one number per channel,
and one pixel. Else each would be a map of its own, mostly zeros. Of equal pixels the first has the
gradient of the maximum, for which positions are looked for only where a gradient needs them.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, taken_over, twice_differentiable
from pixelwise.ops.running.blocks import map_blocks
from pixelwise.ops.running.precision import full_precision, statistics_dtype

Pools = tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]
MeanOfMap = tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"]]
PoolsOfMap = tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"], Float[Tensor, "b c"]]


def reference(x: Float[Tensor, "b c n"]) -> Pools:
    """Both pools as the equations say, in the type of statistics."""
    kind = statistics_dtype(x)
    return x.mean(dim=2, dtype=kind), x.max(dim=2).values.to(kind)


def mean_pool(x: Float[Tensor, "b c n"]) -> MeanOfMap:
    """The map to go on with, and the mean of its pixels, float32 for half types."""
    with full_precision(x):
        if choice.form("pixel_mean", x) in ("plain", "traced"):
            return x, x.mean(dim=2, dtype=statistics_dtype(x))
        onward, mean, _ = _PixelPools.apply(x, False)
        return onward, mean


def mean_and_maximum_pool(x: Float[Tensor, "b c n"]) -> PoolsOfMap:
    """The map to go on with, and both pools of its pixels, float32 for half types."""
    with full_precision(x):
        if choice.form("pixel_pools", x) in ("plain", "traced"):
            return x, *reference(x)
        onward, mean, largest = _PixelPools.apply(x, True)
        return onward, mean, largest


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return _pooled if ctx.with_largest else _mean_alone, ctx.saved_tensors[:1]


def _pooled(x: Tensor) -> tuple[Tensor | None, ...]:
    return x, *reference(x)


def _mean_alone(x: Tensor) -> tuple[Tensor | None, ...]:
    return x, reference(x)[0], None


class _PixelPools(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, with_largest: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        ctx.with_largest = with_largest
        kind = statistics_dtype(x)
        place = largest = None
        if with_largest:
            mean, largest = x.new_zeros(x.shape[:2], dtype=kind), x.new_empty(x.shape[:2])
            largest.fill_(float("-inf"))
            for i, rows, columns in map_blocks(x):
                part = x[i, rows, columns]
                mean[i, rows] += part.sum(dim=2, dtype=kind)
                torch.maximum(largest[i, rows], part.amax(dim=2), out=largest[i, rows])
            mean /= x.shape[2]
            if ctx.needs_input_grad[0]:
                place = _first(x, largest)
        else:
            mean = x.mean(dim=2, dtype=kind)
        ctx.save_for_backward(x, place)
        return x, mean, None if largest is None else largest.to(kind)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor, d_mean: Tensor, d_largest: Tensor | None) -> Gradients:
        x, place = ctx.saved_tensors
        d_x = grad if taken_over(grad) else grad.clone(memory_format=torch.preserve_format)
        d_x += (d_mean / x.shape[2]).to(x.dtype)[:, :, None]
        if place is not None and d_largest is not None:
            d_x.scatter_add_(2, place[:, :, None], d_largest.to(x.dtype)[:, :, None])
        return d_x, None


def _first(x: Tensor, largest: Tensor) -> Tensor:
    """Where the largest pixel of every channel is: the one with the most pixels after it."""
    pixels, kind = x.shape[2], torch.float64 if x.shape[2] > 1 << 24 else torch.float32
    after = torch.arange(pixels, 0, -1, device=x.device, dtype=kind)
    most = largest.new_zeros(largest.shape, dtype=kind)
    for i, rows, columns in map_blocks(x):
        reached = x[i, rows, columns] == largest[i, rows, None]
        found = torch.where(reached, after[columns], 0).amax(dim=2)
        torch.maximum(most[i, rows], found, out=most[i, rows])
    return (pixels - most).to(torch.int64).clamp_(max=pixels - 1)
