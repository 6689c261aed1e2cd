"""Gate a map by itself: what a value is decides how much of it passes.

    y_cn = x_cn sigmoid(a_c x_cn + d_c)

for numbers a and d of each image and channel. Only x is kept for backward,

    s = sigmoid(a x + d),   t = g x s (1 - s)
    dx = g s + a t,   da_c = sum_n t x,   dd_c = sum_n t

where s and t exist in blocks that stay in the cache.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, hand_over, twice_differentiable
from pixelwise.ops.running.blocks import map_blocks
from pixelwise.ops.running.precision import full_precision


def reference(
    x: Float[Tensor, "b c n"], scale: Float[Tensor, "b c"], shift: Float[Tensor, "b c"]
) -> Float[Tensor, "b c n"]:
    """The gated map as the equation says."""
    gate = (x.to(scale.dtype) * scale[:, :, None] + shift[:, :, None]).sigmoid()
    return x * gate.to(x.dtype)


def self_gate(
    x: Float[Tensor, "b c n"], scale: Float[Tensor, "b c"], shift: Float[Tensor, "b c"]
) -> Float[Tensor, "b c n"]:
    """Gate `x` by `scale` a and `shift` d, which are of the type of statistics."""
    with full_precision(x):
        if choice.form("self_gate", x) in ("plain", "traced"):
            return reference(x, scale, shift)
        return _SelfGate.apply(x, scale, shift)


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return reference, ctx.saved_tensors


def _gate(part: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.addcmul(shift[:, :, None], part.to(scale.dtype), scale[:, :, None]).sigmoid_()


class _SelfGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale, shift)
        y = torch.empty_like(x)
        for i, rows, columns in map_blocks(x):
            part = x[i, rows, columns]
            gate = _gate(part, scale[i, rows], shift[i, rows])
            torch.mul(part, gate.to(x.dtype), out=y[i, rows, columns])
        return y

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, scale, shift = ctx.saved_tensors
        d_x = torch.empty_like(x)
        d_scale, d_shift = torch.zeros_like(scale), torch.zeros_like(shift)
        for i, rows, columns in map_blocks(x):
            part, own = x[i, rows, columns].to(scale.dtype), scale[i, rows]
            gate = _gate(part, own, shift[i, rows])
            passed = gate * grad[i, rows, columns]
            moved = (1 - gate).mul_(passed).mul_(part)
            d_shift[i, rows] += moved.sum(dim=2)
            d_scale[i, rows] += torch.linalg.vecdot(moved, part)
            d_x[i, rows, columns] = passed.addcmul_(moved, own[:, :, None])
        return hand_over(d_x), d_scale, d_shift
