"""`ops.streamed_projection`; nothing of o x n is written.

Forward computes the scores twice: once for `log sum_n e^(W_o . x_n)`, once for the mixture.
Backward does so for the gradients of query, weight and x; with s_on = q_o T_on of the module,

    dW = s x^T,   dx = W^T s

are one kernel with rows and pixels exchanged.
"""

from typing import Any, no_type_check

import torch
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import built, launch, parts, places, program, span
from pixelwise.ops.running.kernel_pairs import beside, cut, products
from pixelwise.ops.running.kernels import lean_on_failure
from pixelwise.ops.streamed_projection.plain import again

RUN = 1024
"""Pixels whose share of the weight's gradient one program sums."""


@built("b")
@no_type_check
def _shift(
    weight, w_b, w_o, w_c, x, x_b, x_c, x_n, shift, b, c, o, n, wide, high,
    kind: tl.constexpr, own: tl.constexpr, other: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    """The logarithm of the sum of e^score over some pixels."""
    at_n, at_o, image = program(wide, high)
    rows, in_o = places(at_o, own, o)
    columns, in_n = places(at_n, other, n)
    weight, x = weight + image * w_b, x + image * x_b
    score = products(
        weight, w_c, w_o, rows, in_o, x, x_c, x_n, columns, in_n, c, kind, own, other, depth
    )
    score = tl.where(in_n[None], score, float("-inf"))
    peak = tl.max(score, axis=1)
    total = tl.sum(tl.exp(score - peak[:, None]), axis=1)
    tl.store(shift + (at_n * b + image) * o + rows, peak + tl.log(total), mask=in_o)


@built("b")
@no_type_check
def _sum(
    weight, w_b, w_o, w_c, x, x_b, x_c, x_n, shift, factor, found, b, c, o, n, wide, high,
    of_rows: tl.constexpr,
    kind: tl.constexpr, own: tl.constexpr, other: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    """The softmaxes, summed over some rows with a factor each, or over some pixels."""
    at_n, at_o, image = program(wide, high)
    rows, in_o = places(at_o, own, o)
    columns, in_n = places(at_n, other, n)
    weight, x = weight + image * w_b, x + image * x_b
    score = products(
        weight, w_c, w_o, rows, in_o, x, x_c, x_n, columns, in_n, c, kind, own, other, depth
    )
    score -= tl.load(shift + image * o + rows, mask=in_o, other=0)[:, None]
    softmax = tl.exp(tl.where(in_o[:, None] & in_n[None], score, float("-inf")))
    if of_rows:
        factors = tl.load(factor + image * o + rows, mask=in_o, other=0)
        place = found + (at_o * b + image) * n + columns
        tl.store(place, tl.sum(softmax * factors[:, None], axis=0), mask=in_n)
    else:
        factors = tl.load(factor + image * n + columns, mask=in_n, other=0)
        place = found + (at_n * b + image) * o + rows
        tl.store(place, tl.sum(softmax * factors[None], axis=1), mask=in_o)


@built("b")
@no_type_check
def _gradient(
    x, x_b, x_c, x_n, y, y_b, y_c, y_m, shift, query, d_query, grad,
    d_x, d_r, d_b, d_c, d_n, b, c, n, m, wide, high,
    of_rows: tl.constexpr, run: tl.constexpr,
    kind: tl.constexpr, own: tl.constexpr, other: tl.constexpr,
    depth: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """The gradient of x, the rows, by a run of y, the pixels, or the other way round."""
    at_n, at_c, part = program(wide, high)
    image, first = part % b, part // b * run
    rows, in_n = places(at_n, own, n)
    channels, in_c = places(at_c, width, c)
    x, y = x + image * x_b, y + image * y_b
    per_row, per_pixel = image * (n if of_rows else m), image * (m if of_rows else n)
    shift, query, d_query = shift + per_row, query + per_row, d_query + per_row
    total = tl.zeros((own, width), tl.float32)
    for start in range(first, tl.minimum(first + run, m), other):
        columns, in_m = span(start, other, m)
        slope = products(
            x, x_c, x_n, rows, in_n, y, y_c, y_m, columns, in_m, c, kind, own, other, depth
        )
        slope -= beside(shift, rows, in_n, columns, in_m, of_rows)
        slope = tl.exp(tl.where(in_n[:, None] & in_m[None], slope, float("-inf")))
        slope *= beside(query, rows, in_n, columns, in_m, of_rows)
        level = beside(d_query, rows, in_n, columns, in_m, of_rows)
        slope *= beside(grad + per_pixel, rows, in_n, columns, in_m, not of_rows) - level
        at = y + columns[:, None] * y_m + channels[None] * y_c
        seen = tl.load(at, mask=in_m[:, None] & in_c[None], other=0).to(kind)
        total = tl.dot(slope.to(kind), seen, total, input_precision="ieee")
    at = d_x + part // b * d_r + image * d_b
    at += channels[None] * d_c + rows[:, None] * d_n
    tl.store(at, total, mask=in_n[:, None] & in_c[None])


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, query: Tensor, lean: Plain) -> Tensor:
        ctx.lean = lean
        (b, c, n), o = x.shape, weight.shape[1]
        blocks, grid = _cut(x, weight)
        maps, sizes = (weight, *weight.stride(), x, *x.stride()), (b, c, o, n)
        shifts = query.new_empty(grid[0], b, o)
        launch(_shift, grid, *maps, shifts, *sizes, **blocks)
        shift = shifts.logsumexp(dim=0)
        found = query.new_empty(grid[1], b, n)
        given = (shift, query.contiguous(), found)
        launch(_sum, grid, *maps, *given, *sizes, of_rows=True, **blocks)
        ctx.save_for_backward(x, weight, query, shift)
        return found.sum(dim=0)

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("streamed_projection", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, weight, query, shift = ctx.saved_tensors
        wants_x, wants_weight, wants_query, _ = ctx.needs_input_grad
        (b, c, n), o = x.shape, weight.shape[1]
        blocks, grid = _cut(x, weight)
        grad = grad.contiguous()
        rows = (weight, weight.stride(0), weight.stride(2), weight.stride(1))
        pixels = (x, *x.stride())
        found = query.new_empty(grid[0], b, o)
        maps = (weight, *weight.stride(), x, *x.stride(), shift, grad, found)
        launch(_sum, grid, *maps, b, c, o, n, of_rows=False, **blocks)
        d_query = found.sum(dim=0)
        given = (shift, query.contiguous(), d_query, grad)
        d_x = d_weight = None
        if wants_weight:
            runs = parts(n, RUN)
            found = weight.new_empty(runs, b, o, c)
            (high, wide, _), blocks = cut(b, o, c, x, weight)
            grid, strides = (high, wide, runs * b), (b * o * c, o * c, 1, c)
            arguments = (*rows, *pixels, *given, found, *strides, b, c, o, n)
            launch(_gradient, grid, *arguments, of_rows=True, run=RUN, **blocks)
            d_weight = found.sum(dim=0)
        if wants_x:
            d_x = torch.empty_like(x)
            grid, blocks = cut(b, n, c, x, weight)
            arguments = (*pixels, *rows, *given, d_x, 0, *d_x.stride(), b, c, n, o)
            launch(_gradient, grid, *arguments, of_rows=False, run=o, **blocks)
        return d_x, d_weight, d_query if wants_query else None


def _cut(x: Tensor, weight: Tensor) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """The blocks of a program, and the grid over (pixels, rows, images) of the scores."""
    _, blocks = cut(1, 1, 1, x, weight)
    del blocks["width"]
    grid = (parts(x.shape[2], blocks["other"]), parts(weight.shape[1], blocks["own"]), len(x))
    return blocks, grid


apply = _Projection.apply
