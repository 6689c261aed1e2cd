"""The gated map in blocks that stay in the cache.

g * x is never written to memory, and the direction's share of dx, the outer product u da^T, is
added to the block while it is there.
"""

from typing import Any

import torch
from torch import Tensor

from pixelwise.ops.polarized_gate.plain import again, pixel_logits
from pixelwise.ops.running.backward import Gradients, hand_over, twice_differentiable
from pixelwise.ops.running.blocks import Block, map_blocks
from pixelwise.ops.running.products import over_channels, over_pixels


class PolarizedGate(torch.autograd.Function):
    """The gated map of map, channel gates, direction and offset."""

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
        """The pixel gates, then block by block."""
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
        """One pass for the gates, and one more for x where there is a direction."""
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
    block: Block,
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
