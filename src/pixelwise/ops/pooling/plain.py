"""Pool the pixels of an image by a softmax over them, and by their mean.

p = softmax_n(w . x_n + beta)     where to look
r = sum_n p_n x_n                 what is there
m = (1 / N) sum_n x_n             the mean
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain
from pixelwise.ops.running.precision import statistics_dtype


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


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    return _pooled if ctx.with_mean else _pooled_once, ctx.saved_tensors[:3]


def _pooled(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor | None, ...]:
    return x, *reference(x, weight, bias)


def _pooled_once(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor | None, ...]:
    return x, reference(x, weight, bias)[0], None
