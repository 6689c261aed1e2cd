"""Pool the pixels of an image by a softmax over them, and by their mean.

    p = softmax_n(w . x_n + beta)     where to look
    r = sum_n p_n x_n                 what is there
    m = (1 / N) sum_n x_n             the mean, from the same pass backward

The gradient of x has rank three,

    dx = dr p^T + w dl^T + (dm / N) 1^T,    dl = p * (dr . x - sum_n p_n dr . x_n)

The pools hand the map on beside their result. Whatever uses that one sends its gradient back
through the pool, where the three columns are added to it block by block: else each would be a
map of its own, written and added to the other.
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
    own_backward,
    statistics_dtype,
    taken_over,
)
from pixelwise.ops.running.products import over_channels, over_pixels


def pixel_weights(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, " c"], bias: Float[Tensor, "1"] | None
) -> Float[Tensor, "b n"]:
    """The softmax over pixels of `weight . x + bias`, in the type of statistics."""
    kind = statistics_dtype(x)
    score = torch.einsum("bcn,c->bn", x.to(kind), weight.to(kind))
    return (score if bias is None else score + bias.to(kind)).softmax(dim=-1)


def reference(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, " c"], bias: Float[Tensor, "1"] | None
) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]:
    """Both poolings as the equations say."""
    kind = statistics_dtype(x)
    weights = pixel_weights(x, weight, bias)
    return torch.einsum("bcn,bn->bc", x.to(kind), weights), x.mean(dim=-1, dtype=kind)


Pooled = tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"]]
PooledTwice = tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"], Float[Tensor, "b c"]]


def attention_pool(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, " c"], bias: Float[Tensor, "1"] | None
) -> Pooled:
    """The map to go on with, and the softmax-weighted sum of its pixels.

    The sum is float32 for half types.
    """
    with full_precision(x):
        chosen = choice.form("pooling", x)
        if chosen in ("plain", "traced"):
            return x, reference(x, weight, bias)[0]
        apply = kernels.either(chosen, "pooling", _Pool.apply)
        onward, context, _ = apply(x, weight, bias, False)
        return onward, context


def attention_and_mean_pool(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, " c"], bias: Float[Tensor, "1"] | None
) -> PooledTwice:
    """The map to go on with, the softmax-weighted sum of its pixels, and their mean.

    The sums are float32 for half types.
    """
    with full_precision(x):
        chosen = choice.form("pooling", x)
        if chosen in ("plain", "traced"):
            return x, *reference(x, weight, bias)
        apply = kernels.either(chosen, "pooling", _Pool.apply)
        onward, context, mean = apply(x, weight, bias, True)
        return onward, context, mean


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, with_mean: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        kind = statistics_dtype(x)
        score = over_channels(x, weight.to(kind).expand(len(x), -1))
        if bias is not None:
            score += bias
        weights = score.softmax(dim=-1)
        ctx.save_for_backward(x, weight, weights)
        mean = x.mean(dim=-1, dtype=kind) if with_mean else None
        return x, over_pixels(x, weights), mean

    @staticmethod
    @own_backward
    def backward(ctx: Any, grad: Tensor, d_context: Tensor, d_mean: Tensor | None) -> Gradients:
        x, weight, weights = ctx.saved_tensors
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
