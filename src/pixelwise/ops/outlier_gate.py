"""Gate every value of a channel by how far it lies from the mean of the channel.

    m_c = (1 / N) sum_n x_cn,   v_c = sum_n (x_cn - m_c)^2 / (N - 1)
    y_cn = x_cn sigmoid(k_c (x_cn - m_c)^2 + 1 / 2),   k_c = 1 / (4 (v_c + ease))

A single pixel lies at its mean, and its variance is taken as 0. The variance is that of differences
from the mean: of raw squares little is left in float32 where the mean is large. Backward keeps the
map, the mean and k alone, and adds both ways through the statistics at once, as one number and one
slope per channel.
"""

import functools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, hand_over, twice_differentiable
from pixelwise.ops.running.blocks import map_blocks
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def outlier_gates(x: Float[Tensor, "b c n"], ease: float) -> Float[Tensor, "b c n"]:
    """The sigmoids of the equation, in the type of statistics."""
    x = x.to(statistics_dtype(x))
    squares = (x - x.mean(dim=2, keepdim=True)).square()
    variance = squares.sum(dim=2, keepdim=True) / max(x.shape[2] - 1, 1)
    return (squares / (4 * (variance + ease)) + 0.5).sigmoid()


def reference(x: Float[Tensor, "b c n"], ease: float) -> Float[Tensor, "b c n"]:
    """The gated map as the equations say."""
    return x * outlier_gates(x, ease).to(x.dtype)


def outlier_gate(x: Float[Tensor, "b c n"], ease: float) -> Float[Tensor, "b c n"]:
    """The gated map; `ease`, lambda, is added to the variance."""
    with full_precision(x):
        if choice.form("outlier_gate", x) in ("plain", "traced"):
            return reference(x, ease)
        gated: Tensor = _OutlierGate.apply(x, ease)
        return gated


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return functools.partial(reference, ease=ctx.ease), ctx.saved_tensors[:1]


class _OutlierGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ease: float) -> Tensor:
        ctx.ease, pixels = ease, x.shape[2]
        mean = x.mean(dim=2, keepdim=True, dtype=statistics_dtype(x))
        squares = torch.zeros_like(mean)
        for i, rows, columns in map_blocks(x):  # quicker than torch.var_mean, and as exact
            away = x[i, rows, columns] - mean[i, rows]
            squares[i, rows] += away.square_().sum(dim=2, keepdim=True)
        slope = 0.25 / (squares / max(pixels - 1, 1) + ease)
        ctx.save_for_backward(x, mean, slope)
        y = torch.empty_like(x)
        for i, rows, columns in map_blocks(x):
            gate = (x[i, rows, columns] - mean[i, rows]).square_()
            gate.mul_(slope[i, rows]).add_(0.5).sigmoid_()
            torch.mul(gate, x[i, rows, columns], out=gate)
            y[i, rows, columns] = gate
        return y

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, mean, slope = ctx.saved_tensors
        pixels, d_x = x.shape[2], torch.empty_like(x)
        d_mean, d_slope = torch.zeros_like(mean), torch.zeros_like(slope)
        for i, rows, columns in map_blocks(x):
            k, part = slope[i, rows], grad[i, rows, columns].to(mean.dtype)
            away = x[i, rows, columns] - mean[i, rows]
            gate = (k * away.square()).add_(0.5).sigmoid_()
            direct = part * gate
            moved = (direct * x[i, rows, columns]).mul_(1 - gate).mul_(away)  # d of k away, halved
            d_slope[i, rows] += (moved * away).sum(dim=2, keepdim=True)
            moved.mul_(2 * k)
            d_mean[i, rows] -= moved.sum(dim=2, keepdim=True)
            d_x[i, rows, columns] = direct.add_(moved)
        rise = -8 * slope.square() * d_slope / max(pixels - 1, 1)
        level = d_mean / pixels - rise * mean
        for i, rows, columns in map_blocks(x):
            part = x[i, rows, columns] * rise[i, rows] + level[i, rows]
            d_x[i, rows, columns] += part.to(x.dtype)
        return hand_over(d_x), None
