"""`ops.local_attention`, one place of the window after the other, with a running softmax.

Of the softmax forward leaves the logarithm of its sum. Backward, a program has some queries, or
some pixels of the mirrored map, whose gradients torch adds to the pixels they mirror.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.local_attention.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import built, launch, parts, program, span
from pixelwise.ops.running.kernels import lean_on_failure

BLOCK = 2048
"""Channels times pixels of a program: it holds up to six blocks of them in registers."""


@triton.jit
@no_type_check
def _mirrored(position, size):
    """As `local_attention.tiling.mirrored`."""
    return tl.maximum(size - 1 - tl.abs(size - 1 - tl.abs(position)), 0)


@triton.jit
@no_type_check
def _pixels(z, z_c, z_h, z_w, c, row, column, inside, width: tl.constexpr):
    """Some pixels of a map, channels first, in float32."""
    channels, in_c = span(0, width, c)
    at = z + channels[:, None] * z_c + (row.to(tl.int64) * z_h + column.to(tl.int64) * z_w)[None]
    return tl.load(at, mask=in_c[:, None] & inside[None], other=0).to(tl.float32)


@built("heads", "i", "j", "h", "w")
@no_type_check
def _forward(
    query, q_b, q_m, q_d, q_i, q_j, key, k_b, k_m, k_d, k_h, k_w, value, v_b, v_m, v_e, v_h, v_w,
    out, shift, heads, d, e, i, j, h, w, scale, wide, high,
    size: tl.constexpr, stride: tl.constexpr,
    block_d: tl.constexpr, block_e: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    at_n, _, part = program(wide, high)
    image, head = part // heads, part % heads
    query, key = query + image * q_b + head * q_m, key + image * k_b + head * k_m
    value += image * v_b + head * v_m
    place = at_n * pixels + tl.arange(0, pixels)
    inside, row, column = place < i * j, place // j, place % j
    q = _pixels(query, q_d, q_i, q_j, d, row, column, inside, block_d)
    seen = tl.zeros((block_e, pixels), tl.float32)
    peak = tl.full((pixels,), float("-inf"), tl.float32)
    total = tl.zeros((pixels,), tl.float32)
    for offset in range(size * size):
        y = _mirrored(row * stride + offset // size - size // 2, h)
        x = _mirrored(column * stride + offset % size - size // 2, w)
        k = _pixels(key, k_d, k_h, k_w, d, y, x, inside, block_d)
        v = _pixels(value, v_e, v_h, v_w, e, y, x, inside, block_e)
        score = tl.sum(q * k, axis=0) * scale
        higher = tl.maximum(peak, score)
        weights, rescale = tl.exp(score - higher), tl.exp(peak - higher)
        seen = seen * rescale[None] + v * weights[None]
        total = total * rescale + weights
        peak = higher
    channels = tl.arange(0, block_e)
    at = out + (part * e + channels[:, None]) * (i * j) + place[None]
    tl.store(at, seen / total[None], mask=(channels < e)[:, None] & inside[None])
    tl.store(shift + part * (i * j) + place, peak + tl.log(total), mask=inside)


@built("heads", "i", "j", "h", "w")
@no_type_check
def _query_gradient(
    query, q_b, q_m, q_d, q_i, q_j, key, k_b, k_m, k_d, k_h, k_w, value, v_b, v_m, v_e, v_h, v_w,
    grad, g_b, g_m, g_e, g_i, g_j, out, shift, level, d_query, d_b, d_m, d_d, d_i, d_j,
    heads, d, e, i, j, h, w, scale, wide, high,
    size: tl.constexpr, stride: tl.constexpr,
    block_d: tl.constexpr, block_e: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    """Leaves `g . o` of every query as well."""
    at_n, _, part = program(wide, high)
    image, head = part // heads, part % heads
    query, key = query + image * q_b + head * q_m, key + image * k_b + head * k_m
    value, grad = value + image * v_b + head * v_m, grad + image * g_b + head * g_m
    place = at_n * pixels + tl.arange(0, pixels)
    inside, row, column = place < i * j, place // j, place % j
    q = _pixels(query, q_d, q_i, q_j, d, row, column, inside, block_d)
    g = _pixels(grad, g_e, g_i, g_j, e, row, column, inside, block_e)
    seen = _pixels(out + part * e * (i * j), i * j, j, 1, e, row, column, inside, block_e)
    along = tl.sum(g * seen, axis=0)
    tl.store(level + part * (i * j) + place, along, mask=inside)
    top = tl.load(shift + part * (i * j) + place, mask=inside, other=0)
    found = tl.zeros((block_d, pixels), tl.float32)
    for offset in range(size * size):
        y = _mirrored(row * stride + offset // size - size // 2, h)
        x = _mirrored(column * stride + offset % size - size // 2, w)
        k = _pixels(key, k_d, k_h, k_w, d, y, x, inside, block_d)
        v = _pixels(value, v_e, v_h, v_w, e, y, x, inside, block_e)
        weights = tl.exp(tl.sum(q * k, axis=0) * scale - top)
        found += k * (weights * (tl.sum(g * v, axis=0) - along))[None]
    channels, in_d = span(0, block_d, d)
    at = d_query + image * d_b + head * d_m + channels[:, None] * d_d
    at += (row.to(tl.int64) * d_i + column.to(tl.int64) * d_j)[None]
    tl.store(at, found * scale, mask=in_d[:, None] & inside[None])


@built("heads", "i", "j", "h", "w")
@no_type_check
def _pair_gradient(
    query, q_b, q_m, q_d, q_i, q_j, key, k_b, k_m, k_d, k_h, k_w, value, v_b, v_m, v_e, v_h, v_w,
    grad, g_b, g_m, g_e, g_i, g_j, shift, level, d_key, d_value,
    heads, d, e, i, j, h, w, scale, wide, high,
    size: tl.constexpr, stride: tl.constexpr,
    block_d: tl.constexpr, block_e: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    """Gradients of key and value at some pixels of the mirrored map."""
    at_n, _, part = program(wide, high)
    image, head = part // heads, part % heads
    query, key = query + image * q_b + head * q_m, key + image * k_b + head * k_m
    value, grad = value + image * v_b + head * v_m, grad + image * g_b + head * g_m
    tall, broad = h + size // 2 * 2, w + size // 2 * 2
    place = at_n * pixels + tl.arange(0, pixels)
    inside, row, column = place < tall * broad, place // broad, place % broad
    y, x = _mirrored(row - size // 2, h), _mirrored(column - size // 2, w)
    k = _pixels(key, k_d, k_h, k_w, d, y, x, inside, block_d)
    v = _pixels(value, v_e, v_h, v_w, e, y, x, inside, block_e)
    found_k = tl.zeros((block_d, pixels), tl.float32)
    found_v = tl.zeros((block_e, pixels), tl.float32)
    for offset in range(size * size):
        above, left = row - offset // size, column - offset % size
        asks = inside & (above >= 0) & (left >= 0) & (above % stride == 0) & (left % stride == 0)
        above, left = above // stride, left // stride
        asks = asks & (above < i) & (left < j)
        q = _pixels(query, q_d, q_i, q_j, d, above, left, asks, block_d)
        g = _pixels(grad, g_e, g_i, g_j, e, above, left, asks, block_e)
        at = part * (i * j) + above * j + left
        score = tl.sum(q * k, axis=0) * scale - tl.load(shift + at, mask=asks, other=0)
        weights = tl.exp(tl.where(asks, score, float("-inf")))
        along = tl.load(level + at, mask=asks, other=0)
        found_v += g * weights[None]
        found_k += q * (weights * (tl.sum(g * v, axis=0) - along))[None]
    channels = tl.arange(0, block_d)
    at = d_key + (part * d + channels[:, None]) * (tall * broad) + place[None]
    tl.store(at, found_k * scale, mask=(channels < d)[:, None] & inside[None])
    channels = tl.arange(0, block_e)
    at = d_value + (part * e + channels[:, None]) * (tall * broad) + place[None]
    tl.store(at, found_v, mask=(channels < e)[:, None] & inside[None])


class _LocalAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, tiling: Any, lean: Plain
    ) -> Tensor:
        b, heads, _, i, j = query.shape
        out = value.new_empty(b, heads, value.shape[2], i, j)
        shift = value.new_empty(b, heads, i, j, dtype=torch.float32)
        sizes, constants = _cut(query, value, tiling)
        grid = (parts(i * j, constants["pixels"]), 1, b * heads)
        maps = (query, *query.stride(), key, *key.stride(), value, *value.stride())
        launch(_forward, grid, *maps, out, shift, *sizes, **constants)
        ctx.save_for_backward(query, key, value, out, shift)
        ctx.tiling, ctx.lean = tiling, lean
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("local_attention", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        query, key, value, out, shift = ctx.saved_tensors
        wants_query, wants_key, wants_value, *_ = ctx.needs_input_grad
        (b, heads, _, i, j), (h, w) = query.shape, key.shape[3:]
        sizes, constants = _cut(query, value, ctx.tiling)
        pixels, border = constants["pixels"], ctx.tiling.kernel_size // 2
        maps = (query, *query.stride(), key, *key.stride(), value, *value.stride())
        maps, level = (*maps, grad, *grad.stride()), torch.empty_like(shift)
        d_query = torch.empty_like(query)
        arguments = (*maps, out, shift, level, d_query, *d_query.stride(), *sizes)
        launch(_query_gradient, (parts(i * j, pixels), 1, b * heads), *arguments, **constants)
        d_key = d_value = None
        if wants_key or wants_value:
            high, wide = h + 2 * border, w + 2 * border
            d_key = shift.new_empty(*key.shape[:3], high, wide)
            d_value = shift.new_empty(*value.shape[:3], high, wide)
            grid = (parts(high * wide, pixels), 1, b * heads)
            launch(_pair_gradient, grid, *maps, shift, level, d_key, d_value, *sizes, **constants)
            d_key, d_value = _folded(d_key, border), _folded(d_value, border)
            d_key, d_value = d_key.to(key.dtype), d_value.to(value.dtype)
        return (
            d_query if wants_query else None,
            d_key if wants_key else None,
            d_value if wants_value else None,
        )


def _cut(query: Tensor, value: Tensor, tiling: Any) -> tuple[tuple[Any, ...], dict[str, int]]:
    """What all kernels are told last: the sizes of the maps, and the blocks of a program."""
    _, heads, d, i, j = query.shape
    e, h, w = value.shape[2:]
    block_d, block_e = (1 << (channels - 1).bit_length() for channels in (d, e))
    pixels = min(64, max(8, BLOCK // max(block_d, block_e)))
    constants = {"size": tiling.kernel_size, "stride": tiling.stride, "pixels": pixels}
    sizes = (heads, d, e, i, j, h, w, d**-0.5)
    return sizes, {**constants, "block_d": block_d, "block_e": block_e}


def _folded(z: Tensor, border: int) -> Tensor:
    """Add the mirrored border of a map to the pixels it mirrors."""
    for axis in (3, 4):
        size = z.shape[axis] - 2 * border
        first, inner, last = torch.split(z, [border, size, border], dim=axis)
        inner.narrow(axis, 1, border).add_(first.flip(axis))
        inner.narrow(axis, size - 1 - border, border).add_(last.flip(axis))
        z = inner
    return z


apply = _LocalAttention.apply
