"""Gate a map by channel and by pixel jointly, beside the map itself.

    l_cn = m_c s_n                       product, or
    l_cn = m_c + s_n                     sum
    y_cn = x_cn (1 + sigmoid(l_cn))

The lean form computes the gate, which is as large as the map, in blocks that stay in the cache,
forward and again backward; so nothing of the size of the map is kept beside the map.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import kernels
from pixelwise.ops.running import choice
from pixelwise.ops.running.blocks import Block, map_blocks
from pixelwise.ops.running.precision import (
    Gradients,
    full_precision,
    hand_over,
    twice_differentiable,
)
from pixelwise.ops.running.products import over_channels, over_pixels


def joint_weights(
    channel: Float[Tensor, "b c"], spatial: Float[Tensor, "b n"], *, product: bool
) -> Float[Tensor, "b c n"]:
    """The sigmoid of the formula."""
    column, row = channel[:, :, None], spatial[:, None]
    return (column * row if product else column + row).sigmoid()


def reference(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    spatial: Float[Tensor, "b n"],
    *,
    product: bool,
) -> Float[Tensor, "b c n"]:
    """The gated map as the equations say."""
    return (x * (1 + joint_weights(channel, spatial, product=product))).to(x.dtype)


def joint_gate(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    spatial: Float[Tensor, "b n"],
    *,
    product: bool,
) -> Float[Tensor, "b c n"]:
    """Gate `x`; the others come in the type of statistics. The result has the type of `x`."""
    with full_precision(x):
        chosen = choice.form("joint_gate", x)
        if chosen in ("plain", "traced"):
            return reference(x, channel, spatial, product=product)
        apply = kernels.either(chosen, "joint_gate", _JointGate.apply)
        return apply(x, channel, spatial, product)


def again(ctx: Any) -> tuple[tuple[Tensor, ...], Gradients]:
    """The gated map by autograd's own operations, and what it comes from."""
    x, channel, spatial = ctx.saved_tensors
    return (reference(x, channel, spatial, product=ctx.product),), (x, channel, spatial, None)


class _JointGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, channel: Tensor, spatial: Tensor, product: bool) -> Tensor:
        ctx.save_for_backward(x, channel, spatial)
        ctx.product = product
        out = torch.empty_like(x)
        for block in map_blocks(x):
            weights = _weights(channel, spatial, product, block)
            torch.mul(x[block], weights.add_(1), out=out[block])
        return out

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, channel, spatial = ctx.saved_tensors
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_channel, d_spatial = torch.zeros_like(channel), torch.zeros_like(spatial)
        for block in map_blocks(x):
            i, rows, columns = block
            weights = _weights(channel, spatial, ctx.product, block)
            if any(ctx.needs_input_grad[1:]):
                slope = (grad[block].to(weights.dtype) * x[block]).mul_(weights)
                slope.mul_(1 - weights)
                if ctx.product:
                    d_channel[i, rows] += over_pixels(slope, spatial[i, columns])
                    d_spatial[i, columns] += over_channels(slope, channel[i, rows])
                else:
                    d_channel[i, rows] += slope.sum(dim=2)
                    d_spatial[i, columns] += slope.sum(dim=1)
            if d_x is not None:
                torch.mul(grad[block], weights.add_(1), out=d_x[block])
        return d_x if d_x is None else hand_over(d_x), d_channel, d_spatial, None


def _weights(channel: Tensor, spatial: Tensor, product: bool, block: Block) -> Tensor:
    i, rows, columns = block
    return joint_weights(channel[i, rows], spatial[i, columns], product=product)
