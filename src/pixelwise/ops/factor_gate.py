"""Gate a map by one factor per channel, or by one per pixel.

    y_cn = x_cn f_c,   or   y_cn = x_cn f_n

Backward, the product g * x, whose sums are the gradient of f, exists in blocks that stay in the
cache.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, hand_over, twice_differentiable
from pixelwise.ops.running.blocks import map_blocks
from pixelwise.ops.running.precision import full_precision


def reference(x: Float[Tensor, "b c n"], factor: Float[Tensor, "b _ _"]) -> Float[Tensor, "b c n"]:
    """The gated map as the equation says; `factor` is (b, c, 1) or (b, 1, n)."""
    return x * factor.to(x.dtype)


def factor_gate(
    x: Float[Tensor, "b c n"], factor: Float[Tensor, "b _ _"]
) -> Float[Tensor, "b c n"]:
    """Gate `x`; `factor`, (b, c, 1) or (b, 1, n), is of the type of statistics."""
    with full_precision(x):
        if choice.form("factor_gate", x) in ("plain", "traced"):
            return reference(x, factor)
        return _FactorGate.apply(x, factor)


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return reference, ctx.saved_tensors


class _FactorGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(x, factor)
        return reference(x, factor)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, factor = ctx.saved_tensors
        wants_x, wants_factor = ctx.needs_input_grad
        d_x = torch.empty_like(x) if wants_x else None
        d_factor = torch.zeros_like(factor) if wants_factor else None
        per_channel = factor.shape[2] == 1 and factor.shape[1] == x.shape[1]
        gate = factor.to(x.dtype)
        for i, rows, columns in map_blocks(x):
            part = grad[i, rows, columns]
            own = (i, rows) if per_channel else (i, slice(None), columns)
            if d_factor is not None:
                moved = part.to(factor.dtype) * x[i, rows, columns]
                d_factor[own] += moved.sum(dim=2 if per_channel else 1, keepdim=True)
            if d_x is not None:
                torch.mul(part, gate[own], out=d_x[i, rows, columns])
        return d_x if d_x is None else hand_over(d_x), d_factor
