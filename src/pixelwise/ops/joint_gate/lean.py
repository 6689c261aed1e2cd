"""The gated map in blocks: the gate, as large as the map, is never kept, nor computed whole."""

from typing import Any

import torch
from torch import Tensor

from pixelwise.ops.joint_gate.plain import again, joint_weights
from pixelwise.ops.running.backward import Gradients, hand_over, twice_differentiable
from pixelwise.ops.running.blocks import Block, map_blocks
from pixelwise.ops.running.products import over_channels, over_pixels


class JointGate(torch.autograd.Function):
    """The gated map of map, channel scores and pixel scores."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, channel: Tensor, spatial: Tensor, product: bool) -> Tensor:
        """Block by block."""
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
        """All three gradients in one pass, with the gate computed again."""
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
