"""Weigh the pixels by many softmaxes over them.

S_on = softmax_n(W_o . x_n)     one distribution over the pixels for each of o projections
a_n = sum_o q_o S_on            their mixture
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain


def reference(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, "b o c"], query: Float[Tensor, "b o"]
) -> Float[Tensor, "b n"]:
    """The mixture as the equations say."""
    softmaxes = torch.einsum("boc,bcn->bon", weight, x.to(weight.dtype)).softmax(dim=-1)
    return torch.einsum("bo,bon->bn", query, softmaxes)


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    return reference, ctx.saved_tensors[:3]
