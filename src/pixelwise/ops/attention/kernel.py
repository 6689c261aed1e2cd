"""`ops.attention` for keys and values of unequal widths; nothing of n x m is written.

Forward, a program has some queries and a slice of the value's channels, and goes through the keys
with a running softmax; queries of up to 256 channels it reads once, so that keys and values are all
that one loop reads, ahead of its products. Of the softmax it leaves `log sum_j e^(q_i . k_j)`, from
which backward has every weight again at once. There

    dv = g A,   dq = k dS^T,   dk = q dS

are a kernel for the first, and one for the others: the same with queries and keys exchanged. They
too hold their own pixels where these fit.
"""

from typing import Any, NamedTuple, no_type_check

import torch
import triton.language as tl
from torch import Tensor

from pixelwise.ops.attention.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import (
    architecture,
    built,
    launch,
    multiplied,
    padded,
    parts,
    places,
    program,
    span,
    warps,
)
from pixelwise.ops.running.kernel_pairs import beside, cut, pixels, products
from pixelwise.ops.running.kernel_products import pixel_products
from pixelwise.ops.running.kernels import lean_on_failure

WIDTH = 256
"""Channels at most that a program writes."""
THREADS = 256


class Whole(NamedTuple):
    """How a program cuts the pairs where it holds its own pixels whole, with all channels."""

    keys: int
    """Channels of queries and keys up to which it can."""
    values: int
    """Channels of the values, where it holds those as well."""
    own: int
    other: int
    stages: int
    """Steps that it reads ahead, and the one it works on."""


class Card(NamedTuple):
    """For each kernel, what registers and shared memory hold; the first that fits is taken."""

    forward: tuple[Whole, ...]
    value_gradient: tuple[Whole, ...]
    pair_gradient: tuple[Whole, ...]


ANY, MOST = 2**31, 512
CARDS = {
    80: Card(
        (Whole(64, ANY, 64, 64, 3), Whole(256, ANY, 64, 64, 2)),
        (Whole(128, ANY, 64, 64, 3), Whole(256, ANY, 64, 32, 2)),
        (Whole(64, 512, 64, 32, 2), Whole(256, 256, 32, 32, 2)),
    ),
    90: Card(
        (Whole(128, ANY, 128, 64, 3), Whole(256, ANY, 128, 64, 2)),
        (Whole(128, ANY, 128, 64, 3), Whole(256, ANY, 128, 64, 2)),
        (
            Whole(64, 256, 128, 64, 2),
            *(Whole(keys, values, 128, 32, 2) for keys, values in [(64, 512), (256, 256)]),
            *(Whole(keys, 512, 128, 16, stages) for keys, stages in [(128, 2), (256, 1)]),
        ),
    ),
    "gfx942": Card(
        (Whole(128, ANY, 128, 64, 2), Whole(256, ANY, 128, 32, 2)),
        (Whole(128, ANY, 64, 64, 2), Whole(256, ANY, 128, 32, 2)),
        (Whole(128, 256, 128, 32, 2), Whole(256, 512, 64, 16, 2)),
    ),
}
OTHER_CARDS = Card(
    (Whole(128, ANY, 64, 64, 2), Whole(256, ANY, 64, 32, 2)),
    (Whole(128, ANY, 64, 64, 2), Whole(256, ANY, 64, 32, 2)),
    (Whole(64, 256, 64, 32, 2), Whole(64, 512, 64, 16, 2)),
)
"""By architecture; what holds on the smallest is for all others."""


@built()
@no_type_check
def _forward(
    query, q_b, q_d, q_n, key, k_b, k_d, k_m, value, v_b, v_e, v_m,
    out, shift, d, e, n, m, wide, high,
    kind: tl.constexpr, own: tl.constexpr, other: tl.constexpr,
    depth: tl.constexpr, width: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    at_n, at_e, image = program(wide, high)
    rows, in_n = places(at_n, own, n)
    channels, in_e = places(at_e, width, e)
    query, key, value = query + image * q_b, key + image * k_b, value + image * v_b
    if whole:
        q = pixels(query, q_d, q_n, rows, in_n, d, depth).to(kind)
    seen = tl.zeros((own, width), tl.float32)
    peak = tl.full((own,), float("-inf"), tl.float32)
    total = tl.zeros((own,), tl.float32)
    for start in range(0, m, other):
        columns, in_m = span(start, other, m)
        if whole:
            k = pixels(key, k_d, k_m, columns, in_m, d, depth).to(kind)
            score = tl.dot(q, tl.trans(k), input_precision="ieee")
        else:
            score = products(
                query, q_d, q_n, rows, in_n, key, k_d, k_m, columns, in_m, d,
                kind, own, other, depth,
            )  # fmt: skip
        score = tl.where(in_m[None], score, float("-inf"))
        higher = tl.maximum(peak, tl.max(score, axis=1))
        weights, scale = tl.exp(score - higher[:, None]), tl.exp(peak - higher)
        v = pixels(value, v_e, v_m, columns, in_m, e, width, at_e * width).to(kind)
        seen = tl.dot(weights.to(kind), v, seen * scale[:, None], input_precision="ieee")
        total = total * scale + tl.sum(weights, axis=1)
        peak = higher
    at = out + image * e * n + channels[None] * n + rows[:, None]
    tl.store(at, seen / total[:, None], mask=in_n[:, None] & in_e[None])
    if at_e == 0:
        tl.store(shift + image * n + rows, peak + tl.log(total), mask=in_n)


@built()
@no_type_check
def _value_gradient(
    query, q_b, q_d, q_n, key, k_b, k_d, k_m, grad, g_b, g_e, g_n, shift,
    d_value, d_b, d_e, d_m, d, e, n, m, wide, high,
    kind: tl.constexpr, own: tl.constexpr, other: tl.constexpr,
    depth: tl.constexpr, width: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    at_m, at_e, image = program(wide, high)
    rows, in_m = places(at_m, own, m)
    channels, in_e = places(at_e, width, e)
    query, key, grad = query + image * q_b, key + image * k_b, grad + image * g_b
    if whole:
        k = pixels(key, k_d, k_m, rows, in_m, d, depth).to(kind)
    total = tl.zeros((own, width), tl.float32)
    for start in range(0, n, other):
        columns, in_n = span(start, other, n)
        if whole:
            q = pixels(query, q_d, q_n, columns, in_n, d, depth).to(kind)
            score = tl.dot(k, tl.trans(q), input_precision="ieee")
        else:
            score = products(
                key, k_d, k_m, rows, in_m, query, q_d, q_n, columns, in_n, d,
                kind, own, other, depth,
            )  # fmt: skip
        score -= tl.load(shift + image * n + columns, mask=in_n, other=0)[None]
        weights = tl.exp(tl.where(in_m[:, None] & in_n[None], score, float("-inf")))
        g = pixels(grad, g_e, g_n, columns, in_n, e, width, at_e * width).to(kind)
        total = tl.dot(weights.to(kind), g, total, input_precision="ieee")
    at = d_value + image * d_b + channels[None] * d_e + rows[:, None] * d_m
    tl.store(at, total, mask=in_m[:, None] & in_e[None])


@built()
@no_type_check
def _pair_gradient(
    x, x_b, x_d, x_n, y, y_b, y_d, y_m, u, u_b, u_e, u_n, v, v_b, v_e, v_m, shift, level,
    d_x, d_b, d_d, d_n, d, e, n, m, wide, high, of_query: tl.constexpr,
    kind: tl.constexpr, own: tl.constexpr, other: tl.constexpr,
    depth: tl.constexpr, width: tl.constexpr, whole: tl.constexpr, broad: tl.constexpr,
):  # fmt: skip
    """The gradient of x by its pairs with y, where `dA_nm = u_n . v_m`.

    x are the queries and u the gradient, y the keys and v the values, or the other way round.
    """
    at_n, at_d, image = program(wide, high)
    rows, in_n = places(at_n, own, n)
    channels, in_d = places(at_d, width, d)
    x, y, u, v = x + image * x_b, y + image * y_b, u + image * u_b, v + image * v_b
    shift, level = shift + image * (n if of_query else m), level + image * (n if of_query else m)
    if whole:
        own_x = pixels(x, x_d, x_n, rows, in_n, d, width).to(kind)
        own_u = pixels(u, u_e, u_n, rows, in_n, e, broad).to(kind)
    total = tl.zeros((own, width), tl.float32)
    for start in range(0, m, other):
        columns, in_m = span(start, other, m)
        if whole:
            other_y = pixels(y, y_d, y_m, columns, in_m, d, width).to(kind)
            other_v = pixels(v, v_e, v_m, columns, in_m, e, broad).to(kind)
            score = tl.dot(own_x, tl.trans(other_y), input_precision="ieee")
            slope = tl.dot(own_u, tl.trans(other_v), input_precision="ieee")
        else:
            score = products(
                x, x_d, x_n, rows, in_n, y, y_d, y_m, columns, in_m, d, kind, own, other, depth
            )
            slope = products(
                u, u_e, u_n, rows, in_n, v, v_e, v_m, columns, in_m, e, kind, own, other, depth
            )
        score -= beside(shift, rows, in_n, columns, in_m, of_query)
        slope -= beside(level, rows, in_n, columns, in_m, of_query)
        slope *= tl.exp(tl.where(in_n[:, None] & in_m[None], score, float("-inf")))
        if not whole:
            other_y = pixels(y, y_d, y_m, columns, in_m, d, width, at_d * width).to(kind)
        total = tl.dot(slope.to(kind), other_y, total, input_precision="ieee")
    at = d_x + image * d_b + channels[None] * d_d + rows[:, None] * d_n
    tl.store(at, total, mask=in_n[:, None] & in_d[None])


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, lean: Plain) -> Tensor:
        ctx.lean = lean
        (b, d, n), (_, e, m) = query.shape, value.shape
        out = value.new_empty(b, e, n)
        shift = value.new_empty(b, n, dtype=torch.float32)
        grid, blocks = _cut("forward", b, n, e, query, key, value)
        maps = (query, *query.stride(), key, *key.stride(), value, *value.stride())
        launch(_forward, grid, *maps, out, shift, d, e, n, m, **blocks)
        ctx.save_for_backward(query, key, value, out, shift)
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("attention", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        query, key, value, out, shift = ctx.saved_tensors
        wants_query, wants_key, wants_value, _ = ctx.needs_input_grad
        (b, d, n), (_, e, m) = query.shape, value.shape
        q, k = (query, *query.stride()), (key, *key.stride())
        v, g = (value, *value.stride()), (grad, *grad.stride())
        d_query = d_key = d_value = None
        if wants_value:
            d_value = torch.empty_like(value)
            grid, blocks = _cut("value_gradient", b, m, e, query, key, value)
            maps = (*q, *k, *g, shift, d_value, *d_value.stride())
            launch(_value_gradient, grid, *maps, d, e, n, m, **blocks)
        if wants_query or wants_key:
            level, broad = pixel_products(grad, out), {"broad": padded(e, MOST)}
        if wants_query:
            d_query = torch.empty_like(query)
            grid, blocks = _cut("pair_gradient", b, n, d, query, key, value)
            maps = (*q, *k, *g, *v, shift, level, d_query, *d_query.stride())
            launch(_pair_gradient, grid, *maps, d, e, n, m, of_query=True, **blocks, **broad)
        if wants_key:
            d_key = torch.empty_like(key)
            grid, blocks = _cut("pair_gradient", b, m, d, query, key, value)
            maps = (*k, *q, *v, *g, shift, level, d_key, *d_key.stride())
            launch(_pair_gradient, grid, *maps, d, e, m, n, of_query=False, **blocks, **broad)
        return d_query, d_key, d_value


def _cut(
    kernel: str, images: int, count: int, channels: int, query: Tensor, key: Tensor, value: Tensor
) -> tuple[tuple[int, int, int], dict[str, Any]]:
    """The grid over what a kernel writes, `count` pixels, and the blocks of a program."""
    (d, e), kind = (query.shape[1], value.shape[1]), multiplied(query, key, value)
    card = CARDS.get(architecture(value), OTHER_CARDS)
    fits = [blocks for blocks in getattr(card, kernel) if d <= blocks.keys and e <= blocks.values]
    if kind == tl.float32 or not fits:
        grid, blocks = cut(images, count, channels, query, key, value)
        return grid, {**blocks, "whole": False}
    best = fits[0]
    width, depth = padded(channels, WIDTH), padded(d, best.keys)
    grid = (parts(count, best.own), parts(channels, width), images)
    sizes = {"own": best.own, "other": best.other, "depth": depth, "width": width, "whole": True}
    many = {"num_warps": warps(THREADS, value), "num_stages": best.stages}
    return grid, {"kind": kind, **sizes, **many}


apply = _Attention.apply
