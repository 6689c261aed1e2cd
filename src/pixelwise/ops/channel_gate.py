"""Gate a map by its channels.

    y_cn = x_cn m_c

Backward, the product g * x, whose sums over pixels are the gradient of m, exists in blocks that
stay in the cache.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import choice
from pixelwise.ops.blocks import map_blocks
from pixelwise.ops.precision import Gradients, full_precision, hand_over, twice_differentiable


def reference(x: Float[Tensor, "b c n"], channel: Float[Tensor, "b c"]) -> Float[Tensor, "b c n"]:
    """The gated map as the equation says."""
    return x * channel.to(x.dtype)[:, :, None]


def channel_gate(
    x: Float[Tensor, "b c n"], channel: Float[Tensor, "b c"]
) -> Float[Tensor, "b c n"]:
    """Gate `x`; `channel` is of the type of statistics, the result of that of `x`."""
    with full_precision(x):
        if choice.form("channel_gate", x) in ("plain", "traced"):
            return reference(x, channel)
        return _ChannelGate.apply(x, channel)


def _again(ctx: Any) -> tuple[tuple[Tensor, ...], Gradients]:
    x, channel = ctx.saved_tensors
    return (reference(x, channel),), (x, channel)


class _ChannelGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, channel: Tensor) -> Tensor:
        ctx.save_for_backward(x, channel)
        return reference(x, channel)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, channel = ctx.saved_tensors
        wants_x, wants_channel = ctx.needs_input_grad
        gate = channel.to(x.dtype)[:, :, None]
        d_x = torch.empty_like(x) if wants_x else None
        d_channel = torch.zeros_like(channel) if wants_channel else None
        for i, rows, columns in map_blocks(x):
            part = grad[i, rows, columns]
            if d_channel is not None:
                moved = part.to(channel.dtype) * x[i, rows, columns]
                d_channel[i, rows] += moved.sum(dim=2)
            if d_x is not None:
                torch.mul(part, gate[i, rows], out=d_x[i, rows, columns])
        return d_x if d_x is None else hand_over(d_x), d_channel
