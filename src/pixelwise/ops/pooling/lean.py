"""Both poolings, and the gradient of the map in the pass that its other uses need.

    dx = dr p^T + w dl^T + (dm / N) 1^T,    dl = p * (dr . x - sum_n p_n dr . x_n)

The gradient has rank three. The map is handed on beside the result. Whatever uses that one sends
its gradient back through the pool, where the three columns are added to it block by block: else
each would be a map of its own, written and added to the other.
"""

from typing import Any

import torch
from torch import Tensor

from pixelwise.ops.pooling.plain import again
from pixelwise.ops.running.backward import Gradients, taken_over, twice_differentiable
from pixelwise.ops.running.blocks import map_blocks
from pixelwise.ops.running.precision import statistics_dtype
from pixelwise.ops.running.products import over_channels, over_pixels


class Pool(torch.autograd.Function):
    """The map to go on with, the weighted sum of its pixels and their mean, if wanted."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, with_mean: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The weights, then each sum."""
        kind = statistics_dtype(x)
        score = over_channels(x, weight.to(kind).expand(x.shape[0], -1))
        if bias is not None:
            score += bias
        weights = score.softmax(dim=-1)
        ctx.save_for_backward(x, weight, bias, weights)
        ctx.with_mean = with_mean
        mean = x.mean(dim=-1, dtype=kind) if with_mean else None
        return x, over_pixels(x, weights), mean

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor, d_context: Tensor, d_mean: Tensor | None) -> Gradients:
        """The three columns, added to the gradient of the map."""
        x, weight, _, weights = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        d_weights = over_channels(x, d_context)
        d_score = weights * (d_weights - (weights * d_weights).sum(dim=-1, keepdim=True))
        d_x = d_weight = d_bias = None
        if wants_weight:
            d_weight = over_pixels(x, d_score).sum(dim=0).to(weight.dtype)
        if wants_bias:
            d_bias = d_score.sum().to(weight.dtype)[None]
        if wants_x:
            left = [d_context, weight.to(d_context.dtype).expand_as(d_context)]
            right = [weights, d_score]
            if d_mean is not None:
                left.append(d_mean / x.shape[2])
                right.append(torch.ones_like(d_score))
            columns, rows = torch.stack(left, dim=2), torch.stack(right, dim=1)
            # Fresh memory would cost as much as the whole sum.
            d_x = grad if taken_over(grad) else torch.empty_like(x)
            for block in map_blocks(x):
                i, c, n = block
                _add_product(grad[block], columns[i, c], rows[i, :, n], d_x[block])
        return d_x, d_weight, d_bias, None


def _add_product(start: Tensor, left: Tensor, right: Tensor, out: Tensor) -> None:
    if out.dtype != left.dtype:
        torch.add(start, torch.bmm(left, right), out=out)
    elif len(out) == 1:  # a batched product into a block would copy the block twice more
        torch.addmm(start[0], left[0], right[0], out=out[0])
    else:
        torch.baddbmm(start, left, right, out=out)
