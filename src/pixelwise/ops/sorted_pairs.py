"""Rectified sums over all pairs, by sorting instead of pairing.

    y_i = sum_j relu(a_i + b_j) v_j

Only the j with b_j > -a_i count, and those come first once b is sorted from the largest:

    k_i = #{j : b_j > -a_i}                        found by bisection
    G_k = v_1 + ... + v_k,   H_k = b_1 v_1 + ... + b_k v_k
    y_i = a_i G_{k_i} + H_{k_i}

so m log m + (n + m) e operations do the work of n m e, in linear memory. The running sums are
float64, for two of them may nearly cancel. Backward is the same sum with the roles exchanged:

    dv_j = sum_i relu(b_j + a_i) g_i,   da_i = G_{k_i} . g_i,   db_j = v_j . sum_{a_i > -b_j} g_i
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def reference(
    a: Float[Tensor, "b n"], b: Float[Tensor, "b m"], value: Float[Tensor, "b e m"]
) -> Float[Tensor, "b e n"]:
    """The sums as the equation says."""
    kind = statistics_dtype(value)
    pairs = (a[:, :, None].to(kind) + b[:, None, :].to(kind)).relu()
    return torch.einsum("bnm,bem->ben", pairs, value.to(kind)).to(value.dtype)


def rectified_pairs(
    a: Float[Tensor, "b n"], b: Float[Tensor, "b m"], value: Float[Tensor, "b e m"]
) -> Float[Tensor, "b e n"]:
    """The sums, of the type of `value`; memory grows with n + m, never with n m."""
    with full_precision(value):
        chosen = choice.form("sorted_pairs", value)
        if chosen == "plain":
            return reference(a, b, value)
        if chosen == "traced":
            return _sums(a, b, value)[0].to(value.dtype)
        return _RectifiedPairs.apply(a, b, value)


def _sums(a: Tensor, b: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """The sums y and, for every i, the sum of the values that count; both in float64."""
    a, b, value = a.double(), b.double(), value.double()
    b, order = b.sort(dim=1, descending=True)
    value = value.gather(2, order[:, None].expand_as(value))
    count = _counts(a.detach(), b.detach())
    count = count[:, None].expand(-1, value.shape[1], -1)
    counted = F.pad(value.cumsum(2), (1, 0)).gather(2, count)
    shifted = F.pad((value * b[:, None]).cumsum(2), (1, 0)).gather(2, count)
    return torch.addcmul(shifted, a[:, None], counted), counted


def _counts(a: Tensor, b: Tensor) -> Tensor:
    """For every i the number of j with b_j > -a_i, of b from the largest to the smallest."""
    if not torch.compiler.is_exporting():
        return torch.searchsorted(-b.contiguous(), a.contiguous())
    # ONNX has no bisection: sorted together, the values of b that come before each of a. Which is
    # first where both are equal does not matter: the pair adds nothing.
    order = torch.cat((a, -b), 1).argsort(dim=1)
    before = (order >= a.shape[1]).long().cumsum(1)
    return before.gather(1, order.argsort(dim=1))[:, : a.shape[1]]


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return reference, ctx.saved_tensors


class _RectifiedPairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, value)
        return _sums(a, b, value)[0].to(value.dtype)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        a, b, value = ctx.saved_tensors
        d_a = d_b = d_value = None
        if ctx.needs_input_grad[0]:
            counted = _sums(a, b, value)[1]
            d_a = counted.mul_(grad).sum(dim=1).to(a.dtype)
        if any(ctx.needs_input_grad[1:]):
            sums, counted = _sums(b, a, grad)
            d_value = sums.to(value.dtype)
            d_b = counted.mul_(value).sum(dim=1).to(b.dtype)
        return d_a, d_b, d_value
