"""The largest and the mean of the gated channels of every pixel; the gated map is not kept.

    z_cn = x_cn m_c
    u_n = max_c z_cn,   v_n = (1 / C) sum_c z_cn

Of equal channels the first has the gradient of the maximum. The lean form works in blocks that
stay in the cache. torch's maximum along an axis that is not the last takes twenty times as long
with positions as without: here they are found by two maxima without. The map is handed on, so that
the gradient of whatever else uses it is added to here; see `pooling`.
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
from pixelwise.ops.running.products import over_pixels

Pools = tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]
PoolsOfMap = tuple[Float[Tensor, "b c n"], Float[Tensor, "b n"], Float[Tensor, "b n"]]


def reference(x: Float[Tensor, "b c n"], channel: Float[Tensor, "b c"] | None) -> Pools:
    """Both pools as the equations say, in the type of statistics; without gates, m is one."""
    kind = statistics_dtype(x)
    gated = x if channel is None else x * channel.to(x.dtype)[:, :, None]
    return gated.max(dim=1).values.to(kind), gated.mean(dim=1, dtype=kind)


def channel_pools(x: Float[Tensor, "b c n"], channel: Float[Tensor, "b c"] | None) -> PoolsOfMap:
    """The map to go on with, and both pools of it gated; `channel` is of the type of statistics."""
    with full_precision(x):
        if choice.form("channel_pools", x) in ("plain", "traced"):
            return x, *reference(x, channel)
        onward, largest, mean = _ChannelPools.apply(x, channel)
        return onward, largest, mean


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return lambda x, channel: (x, *reference(x, channel)), ctx.saved_tensors[:2]


class _ChannelPools(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, channel: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        b, channels, n = x.shape
        kind, wanted = statistics_dtype(x), any(ctx.needs_input_grad)
        largest = x.new_full((b, n), float("-inf"))
        first, total = torch.zeros_like(largest, dtype=kind), torch.zeros_like(largest, dtype=kind)
        after = torch.arange(channels, 0, -1, device=x.device, dtype=kind)[:, None]
        for i, rows, columns in map_blocks(x):
            gated = x[i, rows, columns]
            if channel is not None:
                gated = gated * channel[i, rows, None].to(x.dtype)
            part, best = largest[i, columns], gated.amax(dim=1)
            total[i, columns] += gated.sum(dim=1, dtype=kind)
            if wanted:  # the first has the most channels after it
                reached = torch.where(gated == best[:, None], after[rows], 0).amax(dim=1)
                first[i, columns] = torch.where(best > part, reached, first[i, columns])
            torch.maximum(part, best, out=part)
        if wanted:
            place = (channels - first).to(torch.int64).clamp_(max=channels - 1)
            ctx.save_for_backward(x, channel, place)
        return x, largest.to(kind), total / channels

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor, d_largest: Tensor, d_mean: Tensor) -> Gradients:
        x, channel, place = ctx.saved_tensors
        d_mean, at = d_mean / x.shape[1], place[:, None]
        d_x = grad if taken_over(grad) else grad.clone(memory_format=torch.preserve_format)
        for i, rows, columns in map_blocks(x):
            row = d_mean[i, None, columns].to(x.dtype)
            if channel is None:
                d_x[i, rows, columns] += row
            else:
                d_x[i, rows, columns].addcmul_(channel[i, rows, None].to(x.dtype), row)
        moved = d_largest if channel is None else channel.gather(1, place) * d_largest
        d_x.scatter_add_(1, at, moved[:, None].to(x.dtype))
        d_channel = None
        if channel is not None:
            d_channel = over_pixels(x, d_mean)
            d_channel.scatter_add_(1, place, x.gather(1, at)[:, 0] * d_largest)
        return hand_over(d_x), d_channel
