"""Attention between channels, that prefers the channels which are unlike.

    E_cd = sum_n x_cn x_dn                 how alike two channels are
    A_cd = softmax_d(max_d E_cd - E_cd)    = softmax_d(-E_cd)
    y_c = x_c + gamma sum_d A_cd x_d

The lean form computes half of E, which is symmetric, and needs three products backward instead
of four:

    R = g x^T,   dgamma = <R, A>,   D = gamma A * (sum_d A_cd R_cd - R),
    dx = g + gamma A^T g + (D + D^T) x
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.precision import full_precision, statistics_dtype

STRIP = 128
"""Rows of E that are computed at a time on a CPU; fewer make a product slow."""


def channel_weights(x: Float[Tensor, "b c n"]) -> Float[Tensor, "b c c"]:
    """The weights A, in the type of statistics: a sum over pixels overflows float16."""
    return likeness(x.to(statistics_dtype(x))).neg().softmax(dim=-1)


def likeness(x: Float[Tensor, "b c n"]) -> Float[Tensor, "b c c"]:
    """The symmetric matrix E, of which only strips up to the diagonal are computed on a CPU."""
    if x.requires_grad and torch.is_grad_enabled():  # writing into strips has no derivative
        return torch.bmm(x, x.mT)
    count, channels, pixels = x.shape
    alike = x.new_empty(count, channels, channels)
    strip = STRIP * pixels * count
    for rows in blocks.spans(channels, pixels * count, strip, x.device):
        stop = rows.stop
        torch.bmm(x[:, rows], x[:, :stop].mT, out=alike[:, rows, :stop])
        alike[:, : rows.start, rows] = alike[:, rows, : rows.start].mT
    return alike


def reference(x: Float[Tensor, "b c n"], gain: Float[Tensor, "1"]) -> Float[Tensor, "b c n"]:
    """The result as the equations say."""
    wide = x.to(statistics_dtype(x))
    alike = torch.einsum("bcn,bdn->bcd", wide, wide)
    weights = (alike.amax(dim=-1, keepdim=True) - alike).softmax(dim=-1)
    return (wide + gain * torch.einsum("bcd,bdn->bcn", weights, wide)).to(x.dtype)


def channel_attention(
    x: Float[Tensor, "b c n"], gain: Float[Tensor, "1"]
) -> Float[Tensor, "b c n"]:
    """Add to every channel the mixture of those unlike it, times `gain`."""
    with full_precision(x):
        if choice.form("channel_attention", x) in ("plain", "traced"):
            return reference(x, gain)
        return _ChannelAttention.apply(x, gain)


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return reference, ctx.saved_tensors[:2]


class _ChannelAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        wide = x.to(statistics_dtype(x))
        weights = channel_weights(x)
        ctx.save_for_backward(x, gain, weights)
        # The identity stays outside of the product: folded into it, float32 loses a digit.
        out = torch.baddbmm(wide, weights * gain, wide, out=torch.empty_like(wide))
        return out.to(x.dtype)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, gain, weights = ctx.saved_tensors
        wide, g = x.to(weights.dtype), grad.to(weights.dtype)
        d_mixture = torch.bmm(g, wide.mT)
        d_x = d_gain = None
        if ctx.needs_input_grad[1]:
            d_gain = (d_mixture * weights).sum().to(gain.dtype)[None]
        if ctx.needs_input_grad[0]:
            scaled = weights * gain
            d_alike = scaled * ((weights * d_mixture).sum(dim=-1, keepdim=True) - d_mixture)
            out = torch.baddbmm(g, scaled.mT, g, out=torch.empty_like(wide))
            d_x = out.baddbmm_(d_alike + d_alike.mT, wide).to(x.dtype)
        return d_x, d_gain
