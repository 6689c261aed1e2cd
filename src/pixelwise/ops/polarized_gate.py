"""Gate a map by channel and by pixel at once.

    a_n = u . x_n + e_n                  pixel logits: a direction u per image, an offset e
    s_n = sigmoid(a_n)                   or sigmoid(softmax_n(a)_n)
    y_cn = x_cn (m_c + s_n)              sum, or
    y_cn = x_cn m_c s_n                  product

The lean form works in blocks that stay in the cache: g * x is never written to memory, and the
direction's share of dx, the outer product u da^T, is added to the block while it is there.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import kernels
from pixelwise.ops.running import choice
from pixelwise.ops.running.blocks import map_blocks
from pixelwise.ops.running.precision import (
    Gradients,
    full_precision,
    hand_over,
    twice_differentiable,
)
from pixelwise.ops.running.products import over_channels, over_pixels


def pixel_logits(
    x: Float[Tensor, "b c n"],
    direction: Float[Tensor, "b c"] | None,
    offset: Float[Tensor, "b #n"] | None,
) -> Float[Tensor, "b n"]:
    """The logits a: `direction . x + offset`, of which one may be absent."""
    if direction is None:
        assert offset is not None, "a gate needs a direction or an offset"
        return offset.expand(-1, x.shape[2])
    logits = torch.einsum("bcn,bc->bn", x.to(direction.dtype), direction)
    return logits if offset is None else logits + offset


def pixel_gate(logits: Float[Tensor, "b n"], softmax: bool) -> Float[Tensor, "b n"]:
    """The gate s of every pixel."""
    return (logits.softmax(dim=-1) if softmax else logits).sigmoid()


def reference(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    direction: Float[Tensor, "b c"] | None,
    offset: Float[Tensor, "b #n"] | None,
    *,
    product: bool,
    softmax: bool,
) -> Float[Tensor, "b c n"]:
    """The gated map as the equations say."""
    spatial = pixel_gate(pixel_logits(x, direction, offset), softmax)[:, None]
    column = channel[:, :, None]
    return (x * (column * spatial if product else column + spatial)).to(x.dtype)


def polarized_gate(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    direction: Float[Tensor, "b c"] | None,
    offset: Float[Tensor, "b #n"] | None,
    *,
    product: bool,
    softmax: bool,
) -> Float[Tensor, "b c n"]:
    """Gate `x`; all but `x` come in the type of statistics. The result has the type of `x`."""
    with full_precision(x):
        chosen = choice.form("polarized_gate", x)
        if chosen in ("plain", "traced"):
            return reference(x, channel, direction, offset, product=product, softmax=softmax)
        apply = kernels.either(chosen, "polarized_gate", _Gate.apply)
        return apply(x, channel, direction, offset, product, softmax)


def again(ctx: Any) -> tuple[tuple[Tensor, ...], Gradients]:
    """The gated map by autograd's own operations, and what it comes from."""
    x, channel, direction, offset, *_ = ctx.saved_tensors
    options = {"product": ctx.product, "softmax": ctx.softmax}
    y = reference(x, channel, direction, offset, **options)
    return (y,), (x, channel, direction, offset, None, None)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        channel: Tensor,
        direction: Tensor | None,
        offset: Tensor | None,
        product: bool,
        softmax: bool,
    ) -> Tensor:
        if direction is None:
            logits = pixel_logits(x, None, offset)
        else:
            logits = over_channels(x, direction)
            logits = logits if offset is None else logits.add_(offset)
        weights = logits.softmax(dim=-1) if softmax else None
        spatial = (logits if weights is None else weights).sigmoid()
        ctx.product, ctx.softmax = product, softmax
        ctx.save_for_backward(x, channel, direction, offset, weights, spatial)
        out = torch.empty_like(x)
        for i, rows, columns in map_blocks(x):
            _gate_block(x, channel, spatial, product, (i, rows, columns), out)
        return out

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, channel, direction, offset, weights, spatial = ctx.saved_tensors
        wants_x, *_ = ctx.needs_input_grad
        d_x = torch.empty_like(x) if wants_x else None
        d_channel, d_spatial = torch.zeros_like(channel), torch.zeros_like(spatial)
        for block in map_blocks(x):
            i, rows, columns = block
            moved = grad[block].to(spatial.dtype) * x[block]
            if ctx.product:
                d_channel[i, rows] += over_pixels(moved, spatial[i, columns])
                d_spatial[i, columns] += over_channels(moved, channel[i, rows])
            else:
                d_channel[i, rows] += moved.sum(dim=2)
                d_spatial[i, columns] += moved.sum(dim=1)
            if d_x is not None and direction is None:
                _gate_block(grad, channel, spatial, ctx.product, block, d_x)
        d_logits = d_spatial.mul_(spatial * (1 - spatial))
        if weights is not None:
            d_logits = weights * (d_logits - (weights * d_logits).sum(dim=-1, keepdim=True))
        d_direction = d_offset = None
        if direction is not None:
            d_direction = over_pixels(x, d_logits)
            if d_x is not None:
                for block in map_blocks(x):
                    _gate_block(grad, channel, spatial, ctx.product, block, d_x)
                    i, rows, columns = block
                    outer = direction[i, rows, None], d_logits[i, None, columns]
                    d_x[block].addcmul_(outer[0].to(x.dtype), outer[1].to(x.dtype))
        if offset is not None:
            d_offset = d_logits.sum_to_size(offset.shape)
        if d_x is not None:
            hand_over(d_x)
        return d_x, d_channel, d_direction, d_offset, None, None


def _gate_block(
    x: Tensor,
    channel: Tensor,
    spatial: Tensor,
    product: bool,
    block: tuple[slice, slice, slice],
    out: Tensor,
) -> None:
    i, rows, columns = block
    target = out[block]
    if product:
        torch.mul(x[block], spatial[i, None, columns], out=target)
        target.mul_(channel[i, rows, None])
    else:
        torch.add(channel[i, rows, None], spatial[i, None, columns], out=target)
        target.mul_(x[block])
