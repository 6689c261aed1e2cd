"""Attention between all pixels.

    A_ij = softmax_j(q_i . k_j)     where pixel i looks
    o_i = sum_j A_ij v_j            what it sees

Channels come first, and value and key may differ in width.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain
from pixelwise.ops.running.precision import statistics_dtype


def reference(
    query: Float[Tensor, "b d n"], key: Float[Tensor, "b d m"], value: Float[Tensor, "b e m"]
) -> Float[Tensor, "b e n"]:
    """Attention as the equations say."""
    kind = statistics_dtype(value)
    weights = torch.einsum("bdn,bdm->bnm", query.to(kind), key.to(kind)).softmax(dim=-1)
    return torch.einsum("bem,bnm->ben", value.to(kind), weights).to(value.dtype)


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    return reference, ctx.saved_tensors[:3]
