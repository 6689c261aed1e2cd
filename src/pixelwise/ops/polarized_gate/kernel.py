"""`ops.polarized_gate`: the logits and the gated map, a pass each; backward as many.

Without a direction, forward and backward are one pass each. g * x is never written. A program has
some channels t of some pixels, and leaves sums over these alone. Who needs them adds them up in
order, each time anew: they are few, and lie in the cache.

    a_n = sum_t a_tn + e_n
    s_n = sigmoid(a_n), or sigmoid(p_n)
    da_n = g_n, or p_n (g_n - sum_k p_k g_k),     g_n = s_n (1 - s_n) sum_t ds_tn

The softmax p needs all pixels: of parts j of the image the largest logit and the sum of
exponentials beside it, and backward the sum of p g, each in a launch of its own.

    p_n = e^(a_n - m) / sum_j e^(m_j - m) l_j,     m = max_j m_j
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.polarized_gate.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import TILE, built, launch, parts, places, program, span
from pixelwise.ops.running.kernel_products import project
from pixelwise.ops.running.kernels import lean_on_failure

SHARE = 1024
"""Pixels of a program that sums over pixels for the softmax."""
ADDED = 8
"""Parts of the channels that are added at once: those of 512 channels."""
LEAST = tl.constexpr(-3.0e38)
"""Stands for a largest logit of minus infinity, which less itself would be NaN."""


@triton.jit
@no_type_check
def _added(found, image, columns, in_n, b, n, count, block: tl.constexpr, pixels: tl.constexpr):
    """The sum over all `count` parts of the channels, for some pixels."""
    total = tl.zeros((pixels,), tl.float32)
    for start in range(0, count, block):
        part, known = span(start, block, count)
        at = found + (part[:, None] * b + image) * n + columns[None]
        total += tl.sum(tl.load(at, mask=known[:, None] & in_n[None], other=0), axis=0)
    return total


@triton.jit
@no_type_check
def _logits(
    found, image, columns, in_n, b, n, count, offset, o_b, o_n,
    shifted: tl.constexpr, block: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    logits = _added(found, image, columns, in_n, b, n, count, block, pixels)
    if shifted:
        at = offset + image * o_b + columns * o_n
        logits += tl.load(at, mask=in_n, other=0).to(tl.float32)
    return logits


@triton.jit
@no_type_check
def _over_image(peaks, totals, image, b, shares, block: tl.constexpr):
    """The largest logit of the image, and the sum of exponentials beside it."""
    largest = tl.full((block,), LEAST, tl.float32)
    for start in range(0, shares, block):
        share, known = span(start, block, shares)
        largest = tl.maximum(largest, tl.load(peaks + share * b + image, mask=known, other=LEAST))
    peak = tl.max(largest, axis=0)
    total = tl.zeros((block,), tl.float32)
    for start in range(0, shares, block):
        share, known = span(start, block, shares)
        share = share * b + image
        scale = tl.exp(tl.load(peaks + share, mask=known, other=LEAST) - peak)
        total += scale * tl.load(totals + share, mask=known, other=0)
    return peak, tl.sum(total, axis=0)


@triton.jit
@no_type_check
def _gate(channel, spatial, product: tl.constexpr):
    if product:
        return channel[:, None] * spatial[None]
    else:
        return channel[:, None] + spatial[None]


@built("b", "count", "o_b")
@no_type_check
def _share(
    found, offset, o_b, o_n, logits, peaks, totals, b, n, count, wide, high,
    shifted: tl.constexpr, added: tl.constexpr, share: tl.constexpr,
):  # fmt: skip
    """The logits of a part of an image, and what the softmax needs of them."""
    at_n, _, image = program(wide, high)
    columns, in_n = places(at_n, share, n)
    logit = _logits(
        found, image, columns, in_n, b, n, count, offset, o_b, o_n, shifted, added, share
    )
    tl.store(logits + image * n + columns, logit, mask=in_n)
    peak = tl.max(tl.where(in_n, logit, LEAST), axis=0)
    peak = tl.maximum(peak, LEAST)
    tl.store(peaks + at_n * b + image, peak)
    total = tl.sum(tl.where(in_n, tl.exp(logit - peak), 0), axis=0)
    tl.store(totals + at_n * b + image, total)


@built("b", "count", "o_b", "shares")
@no_type_check
def _forward(
    x, x_b, x_c, x_n, channel, found, offset, o_b, o_n, peaks, totals, weights, spatial,
    out, out_b, out_c, out_n, b, c, n, count, shares, wide, high,
    product: tl.constexpr, shifted: tl.constexpr, softmax: tl.constexpr, added: tl.constexpr,
    tile: tl.constexpr,
):  # fmt: skip
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    inside = in_c[:, None] & in_n[None]
    s = _logits(found, image, columns, in_n, b, n, count, offset, o_b, o_n, shifted, added, tile)
    if softmax:
        peak, total = _over_image(peaks, totals, image, b, shares, tile)
        s = tl.exp(s - peak) / total
        if at_c == 0:
            tl.store(weights + image * n + columns, s, mask=in_n)
    s = tl.sigmoid(s)
    if at_c == 0:
        tl.store(spatial + image * n + columns, s, mask=in_n)
    m = tl.load(channel + image * c + rows, mask=in_c, other=0).to(tl.float32)
    at = x + image * x_b + rows[:, None] * x_c + columns[None] * x_n
    seen = tl.load(at, mask=inside, other=0).to(tl.float32) * _gate(m, s, product)
    at = out + image * out_b + rows[:, None] * out_c + columns[None] * out_n
    tl.store(at, seen, mask=inside)


@built("b")
@no_type_check
def _reduce(
    grad, g_b, g_c, g_n, x, x_b, x_c, x_n, channel, spatial, d_x, d_b, d_c, d_n,
    d_channel, d_spatial, b, c, n, wide, high,
    product: tl.constexpr, sends_x: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """Gradients of the channel and of the pixel gates; that of x where it needs neither."""
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    inside = in_c[:, None] & in_n[None]
    m = tl.load(channel + image * c + rows, mask=in_c, other=0).to(tl.float32)
    s = tl.load(spatial + image * n + columns, mask=in_n, other=0)
    at = grad + image * g_b + rows[:, None] * g_c + columns[None] * g_n
    g = tl.load(at, mask=inside, other=0).to(tl.float32)
    at = x + image * x_b + rows[:, None] * x_c + columns[None] * x_n
    moved = g * tl.load(at, mask=inside, other=0).to(tl.float32)
    along_n = tl.sum(moved * s[None] if product else moved, axis=1)
    along_c = tl.sum(moved * m[:, None] if product else moved, axis=0)
    tl.store(d_channel + (at_n * b + image) * c + rows, along_n, mask=in_c)
    tl.store(d_spatial + (at_c * b + image) * n + columns, along_c, mask=in_n)
    if sends_x:
        at = d_x + image * d_b + rows[:, None] * d_c + columns[None] * d_n
        tl.store(at, g * _gate(m, s, product), mask=inside)


@triton.jit
@no_type_check
def _slopes(
    d_spatial, spatial, image, columns, in_n, b, n, count, added: tl.constexpr, pixels: tl.constexpr
):
    """Gradients of the logits where there is no softmax."""
    s = tl.load(spatial + image * n + columns, mask=in_n, other=0)
    return _added(d_spatial, image, columns, in_n, b, n, count, added, pixels) * s * (1 - s)


@built("b", "count")
@no_type_check
def _turn(
    d_spatial, spatial, weights, d_logits, levels, b, n, count, wide, high,
    softmax: tl.constexpr, added: tl.constexpr, share: tl.constexpr,
):  # fmt: skip
    """These gradients for a part of an image, and the sum that the softmax subtracts."""
    at_n, _, image = program(wide, high)
    columns, in_n = places(at_n, share, n)
    along = _slopes(d_spatial, spatial, image, columns, in_n, b, n, count, added, share)
    tl.store(d_logits + image * n + columns, along, mask=in_n)
    if softmax:
        p = tl.load(weights + image * n + columns, mask=in_n, other=0)
        tl.store(levels + at_n * b + image, tl.sum(p * along, axis=0))


@built("b", "count", "shares")
@no_type_check
def _send(
    grad, g_b, g_c, g_n, x, x_b, x_c, x_n, channel, spatial, direction, d_spatial, weights, levels,
    d_x, d_b, d_c, d_n, d_direction, d_logits, b, c, n, count, shares, wide, high,
    product: tl.constexpr, softmax: tl.constexpr, wants_x: tl.constexpr, added: tl.constexpr,
    tile: tl.constexpr,
):  # fmt: skip
    """What the logits' gradients are to the direction, and to x beside the gate's own."""
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    inside = in_c[:, None] & in_n[None]
    along = _slopes(d_spatial, spatial, image, columns, in_n, b, n, count, added, tile)
    if softmax:
        level = tl.zeros((tile,), tl.float32)
        for start in range(0, shares, tile):
            share, known = span(start, tile, shares)
            level += tl.load(levels + share * b + image, mask=known, other=0)
        p = tl.load(weights + image * n + columns, mask=in_n, other=0)
        along = p * (along - tl.sum(level, axis=0))
    if at_c == 0:
        tl.store(d_logits + image * n + columns, along, mask=in_n)
    at = x + image * x_b + rows[:, None] * x_c + columns[None] * x_n
    seen = tl.load(at, mask=inside, other=0).to(tl.float32)
    place = d_direction + (at_n * b + image) * c + rows
    tl.store(place, tl.sum(seen * along[None], axis=1), mask=in_c)
    if wants_x:
        m = tl.load(channel + image * c + rows, mask=in_c, other=0).to(tl.float32)
        u = tl.load(direction + image * c + rows, mask=in_c, other=0).to(tl.float32)
        s = tl.load(spatial + image * n + columns, mask=in_n, other=0)
        at = grad + image * g_b + rows[:, None] * g_c + columns[None] * g_n
        g = tl.load(at, mask=inside, other=0).to(tl.float32)
        at = d_x + image * d_b + rows[:, None] * d_c + columns[None] * d_n
        tl.store(at, g * _gate(m, s, product) + u[:, None] * along[None], mask=inside)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        channel: Tensor,
        direction: Tensor | None,
        offset: Tensor | None,
        product: bool,
        softmax: bool,
        lean: Plain,
    ) -> Tensor:
        b, c, n = x.shape
        grid, count, shares = _grid(x), 0, parts(n, SHARE)
        spatial = x.new_empty(b, n, dtype=torch.float32)
        found, weights, peaks, totals = spatial, None, spatial, spatial
        if direction is not None:
            count = grid[1]
            found = spatial.new_empty(count, b, n)
            maps = (x, *x.stride(), direction.contiguous())
            launch(project, grid, *maps, found, b, c, n, tile=TILE)
        shifts, shifted = _shifts(offset, spatial)
        if softmax:
            logits, weights = torch.empty_like(spatial), torch.empty_like(spatial)
            peaks, totals = spatial.new_empty(shares, b), spatial.new_empty(shares, b)
            launch(
                _share, (shares, 1, b), found, *shifts, logits, peaks, totals, b, n, count,
                shifted=shifted, added=ADDED, share=SHARE,
            )  # fmt: skip
            found, count, shifted = logits, 1, False
        ctx.product, ctx.softmax, ctx.lean = product, softmax, lean
        ctx.save_for_backward(x, channel, direction, offset, weights, spatial)
        out = torch.empty_like(x)
        launch(
            _forward, grid, x, *x.stride(), channel.contiguous(), found, *shifts, peaks, totals,
            spatial if weights is None else weights, spatial, out, *out.stride(), b, c, n, count,
            shares, product=product, shifted=shifted, softmax=softmax, added=ADDED, tile=TILE,
        )  # fmt: skip
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("polarized_gate", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, channel, direction, offset, weights, spatial = ctx.saved_tensors
        wants_x, wants_channel, wants_direction, wants_offset, *_ = ctx.needs_input_grad
        b, c, n = x.shape
        grid, shares = _grid(x), parts(n, SHARE)
        count = grid[1]
        flags = {"product": ctx.product, "tile": TILE}
        d_x = torch.empty_like(x)
        by_part = spatial.new_empty(1 + (direction is not None), parts(n), b, c)
        d_spatial = spatial.new_empty(count, b, n)
        maps = (grad, *grad.stride(), x, *x.stride(), channel.contiguous(), spatial)
        launch(
            _reduce, grid, *maps, d_x, *d_x.stride(), by_part[0], d_spatial, b, c, n,
            sends_x=wants_x and direction is None, **flags,
        )  # fmt: skip
        d_logits, levels = torch.empty_like(spatial), spatial.new_empty(shares, b)
        p = spatial if weights is None else weights
        if direction is None or ctx.softmax:
            launch(
                _turn, (shares, 1, b), d_spatial, spatial, p, d_logits, levels, b, n, count,
                softmax=ctx.softmax, added=ADDED, share=SHARE,
            )  # fmt: skip
        if direction is not None:
            launch(
                _send, grid, *maps, direction.contiguous(), d_spatial, p, levels, d_x,
                *d_x.stride(), by_part[1], d_logits, b, c, n, count, shares, softmax=ctx.softmax,
                wants_x=wants_x, added=ADDED, **flags,
            )  # fmt: skip
        elif ctx.softmax:
            d_logits = p * (d_logits - levels.sum(dim=0)[:, None])
        d_channel, *d_direction = by_part.sum(dim=1)
        return (
            d_x if wants_x else None,
            d_channel.to(channel.dtype) if wants_channel else None,
            d_direction[0].to(direction.dtype) if wants_direction else None,
            d_logits.sum_to_size(offset.shape).to(offset.dtype) if wants_offset else None,
        )


def _grid(x: Tensor) -> tuple[int, int, int]:
    """Over pixels, channels and images; pixels have gates even where there are no channels."""
    b, c, n = x.shape
    return parts(n), max(1, parts(c)), b


def _shifts(offset: Tensor | None, other: Tensor) -> tuple[tuple[Tensor, int, int], bool]:
    """The offset and its strides, and whether there is one."""
    if offset is None:
        return (other, 0, 0), False
    o_b, o_n = offset.expand_as(other).stride()
    return (offset, o_b, o_n), True


apply = _Gate.apply
