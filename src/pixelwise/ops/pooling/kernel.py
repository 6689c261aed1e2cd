"""`ops.pooling` in one pass forward and one backward.

A program has some pixels. It reads all of their channels for the scores and, while they are in the
cache, again for the sums, which are relative to the largest score that the program met. A second
kernel joins what the programs left, always in the same order:

    r = sum_t e^(m_t - m) r_t / sum_t e^(m_t - m) l_t,     m = max_t m_t

Backward, `sum_n p_n dr . x_n` is `dr . r`, so that a program needs nothing of the others. The bias
moves all scores alike, so that neither the softmax nor a gradient depends on it.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.pooling.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import (
    TILE,
    built,
    launch,
    parts,
    places,
    program,
    span,
    warps,
)
from pixelwise.ops.running.kernels import lean_on_failure

PIXELS = 64
"""Pixels of a program: few, since a program is all that works on them."""
JOINED = 32
"""Channels of a program that joins the sums over pixels."""


@triton.jit
@no_type_check
def _project(x, x_c, x_n, vector, columns, in_n, c, tile: tl.constexpr, pixels: tl.constexpr):
    """`vector . x_n` for some pixels."""
    along = tl.zeros((pixels,), tl.float32)
    for start in range(0, c, tile):
        rows, in_c = span(start, tile, c)
        at = x + rows[:, None] * x_c + columns[None] * x_n
        seen = tl.load(at, mask=in_c[:, None] & in_n[None], other=0).to(tl.float32)
        u = tl.load(vector + rows, mask=in_c, other=0).to(tl.float32)
        along += tl.sum(seen * u[:, None], axis=0)
    return along


@built("b")
@no_type_check
def _forward(
    x, x_b, x_c, x_n, weight, scores, peaks, totals, sums, plain_sums, b, c, n, wide, high,
    with_mean: tl.constexpr, tile: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    at_n, _, image = program(wide, high)
    columns, in_n = places(at_n, pixels, n)
    part = at_n * b + image
    x += image * x_b
    score = _project(x, x_c, x_n, weight, columns, in_n, c, tile, pixels)
    tl.store(scores + image * n + columns, score, mask=in_n)
    peak = tl.max(tl.where(in_n, score, float("-inf")), axis=0)
    weights = tl.where(in_n, tl.exp(score - peak), 0)
    tl.store(peaks + part, peak)
    tl.store(totals + part, tl.sum(weights, axis=0))
    for start in range(0, c, tile):
        rows, in_c = span(start, tile, c)
        at = x + rows[:, None] * x_c + columns[None] * x_n
        seen = tl.load(at, mask=in_c[:, None] & in_n[None], other=0).to(tl.float32)
        tl.store(sums + part * c + rows, tl.sum(seen * weights[None], axis=1), mask=in_c)
        if with_mean:
            tl.store(plain_sums + part * c + rows, tl.sum(seen, axis=1), mask=in_c)


@built("b", "n", "count")
@no_type_check
def _join(
    peaks, totals, sums, plain_sums, context, mean, shift, b, c, n, count, wide, high,
    with_mean: tl.constexpr, channels: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    at_c, _, image = program(wide, high)
    rows, in_c = places(at_c, channels, c)
    largest = tl.full((tile,), float("-inf"), tl.float32)
    for start in range(0, count, tile):
        part, known = span(start, tile, count)
        peak = tl.load(peaks + part * b + image, mask=known, other=float("-inf"))
        largest = tl.maximum(largest, peak)
    largest = tl.max(largest, axis=0)
    total = tl.zeros((tile,), tl.float32)
    found = tl.zeros((channels,), tl.float32)
    plain = tl.zeros((channels,), tl.float32)
    for start in range(0, count, tile):
        part, known = span(start, tile, count)
        part = part * b + image
        scale = tl.exp(tl.load(peaks + part, mask=known, other=float("-inf")) - largest)
        total += scale * tl.load(totals + part, mask=known, other=0)
        inside = known[:, None] & in_c[None]
        at = part[:, None] * c + rows[None]
        found += tl.sum(scale[:, None] * tl.load(sums + at, mask=inside, other=0), axis=0)
        if with_mean:
            plain += tl.sum(tl.load(plain_sums + at, mask=inside, other=0), axis=0)
    total = tl.sum(total, axis=0)
    total = tl.where(total == 0, 1.0, total)  # of no pixels
    tl.store(context + image * c + rows, found / total, mask=in_c)
    if with_mean:
        tl.store(mean + image * c + rows, plain / n, mask=in_c)
    if at_c == 0:
        tl.store(shift + image, largest + tl.log(total))


@triton.jit
@no_type_check
def _dot(one, other, c, tile: tl.constexpr):
    total = tl.zeros((tile,), tl.float32)
    for start in range(0, c, tile):
        rows, in_c = span(start, tile, c)
        seen = tl.load(one + rows, mask=in_c, other=0)
        total += seen * tl.load(other + rows, mask=in_c, other=0)
    return tl.sum(total, axis=0)


@built("b")
@no_type_check
def _backward(
    grad, g_b, g_c, g_n, x, x_b, x_c, x_n, weight, scores, shift, context, d_context, d_mean,
    d_x, d_b, d_c, d_n, d_weight, b, c, n, wide, high,
    with_mean: tl.constexpr, wants_x: tl.constexpr, wants_weight: tl.constexpr,
    tile: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    at_n, _, image = program(wide, high)
    columns, in_n = places(at_n, pixels, n)
    part = at_n * b + image
    x += image * x_b
    score = tl.load(scores + image * n + columns, mask=in_n, other=0)
    weights = tl.where(in_n, tl.exp(score - tl.load(shift + image)), 0)
    along = _project(x, x_c, x_n, d_context + image * c, columns, in_n, c, tile, pixels)
    d_score = weights * (along - _dot(context + image * c, d_context + image * c, c, tile))
    for start in range(0, c, tile):
        rows, in_c = span(start, tile, c)
        inside = in_c[:, None] & in_n[None]
        if wants_weight:
            at = x + rows[:, None] * x_c + columns[None] * x_n
            seen = tl.load(at, mask=inside, other=0).to(tl.float32)
            tl.store(d_weight + part * c + rows, tl.sum(seen * d_score[None], axis=1), mask=in_c)
        if wants_x:
            at = grad + image * g_b + rows[:, None] * g_c + columns[None] * g_n
            total = tl.load(at, mask=inside, other=0).to(tl.float32)
            r = tl.load(d_context + image * c + rows, mask=in_c, other=0)
            w = tl.load(weight + rows, mask=in_c, other=0).to(tl.float32)
            total += r[:, None] * weights[None] + w[:, None] * d_score[None]
            if with_mean:
                m = tl.load(d_mean + image * c + rows, mask=in_c, other=0)
                total += (m / n)[:, None]
            at = d_x + image * d_b + rows[:, None] * d_c + columns[None] * d_n
            tl.store(at, total, mask=inside)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, with_mean: bool, lean: Plain
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        b, c, n = x.shape
        count = parts(n, PIXELS)
        scores = x.new_empty(b, n, dtype=torch.float32)
        peaks, totals = scores.new_empty(count, b), scores.new_empty(count, b)
        sums = scores.new_empty(1 + with_mean, count, b, c)
        flags = {"with_mean": with_mean, "tile": TILE}
        launch(
            _forward, (count, 1, b), x, *x.stride(), weight.contiguous(), scores, peaks, totals,
            sums[0], sums[-1], b, c, n, pixels=PIXELS, num_warps=warps(256, x), **flags,
        )  # fmt: skip
        context, shift = scores.new_empty(b, c), scores.new_empty(b)
        mean = torch.empty_like(context) if with_mean else None
        launch(
            _join, (parts(c, JOINED), 1, b), peaks, totals, sums[0], sums[-1], context,
            context if mean is None else mean, shift, b, c, n, count, channels=JOINED, **flags,
        )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, scores, shift, context)
        ctx.with_mean, ctx.lean = with_mean, lean
        return x, context, mean

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("pooling", again)
    def backward(ctx: Any, grad: Tensor, d_context: Tensor, d_mean: Tensor | None) -> Gradients:
        x, weight, bias, scores, shift, context = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, *_ = ctx.needs_input_grad
        b, c, n = x.shape
        count = parts(n, PIXELS)
        d_x = torch.empty_like(x)
        d_weight = context.new_empty(count, b, c)
        d_context = d_context.contiguous()
        d_plain = d_context if d_mean is None else d_mean.contiguous()
        launch(
            _backward, (count, 1, b), grad, *grad.stride(), x, *x.stride(), weight.contiguous(),
            scores, shift, context, d_context, d_plain, d_x, *d_x.stride(), d_weight, b, c, n,
            with_mean=d_mean is not None, wants_x=wants_x, wants_weight=wants_weight,
            tile=TILE, pixels=PIXELS, num_warps=warps(256, x),
        )  # fmt: skip
        return (
            d_x if wants_x else None,
            d_weight.sum(dim=(0, 1)).to(weight.dtype) if wants_weight else None,
            torch.zeros_like(bias) if wants_bias else None,
        )


apply = _Pool.apply
