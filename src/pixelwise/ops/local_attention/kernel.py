"""`ops.local_attention`: a tile of queries, with a running softmax through the keys around it.

Of the softmax forward leaves the logarithm of its sum, to base 2, from which backward has every
weight again at once: two launches, the second for keys and values.
"""

from typing import Any, no_type_check

import torch
import triton.language as tl
from torch import Tensor

from pixelwise.ops.local_attention.kernel_gradients import pair_gradient, query_gradient
from pixelwise.ops.local_attention.kernel_halo import (
    LOG2_E,
    block,
    cut,
    offsets,
    often,
    put,
    tile,
    turned,
)
from pixelwise.ops.local_attention.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import built, launch, parts, program
from pixelwise.ops.running.kernel_pairs import products
from pixelwise.ops.running.kernels import lean_on_failure


@built("heads", "i", "h")
@no_type_check
def _forward(
    query, q_b, q_m, q_d, q_i, q_j, key, k_b, k_m, k_d, k_h, k_w, value, v_b, v_m, v_e, v_h, v_w,
    out, shift, heads, d, e, i, j, h, w, scale, wide, high,
    kind: tl.constexpr, border: tl.constexpr, lead: tl.constexpr, stride: tl.constexpr,
    tall: tl.constexpr, broad: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
    across: tl.constexpr, whole: tl.constexpr, depth: tl.constexpr,
    block_d: tl.constexpr, block_e: tl.constexpr,
):  # fmt: skip
    at_n, at_e, part = program(wide, high)
    image, head = part // heads, part % heads
    query, key = query + image * q_b + head * q_m, key + image * k_b + head * k_m
    value += image * v_b + head * v_m
    tiles = tl.cdiv(j, broad)
    row, column = tile(at_n, tiles, 0, 0, tall, broad)
    inside = (row < i) & (column < j)
    from_query = offsets(row, column, q_i, q_j)
    if whole:
        q = block(query, q_d, from_query, inside, 0, block_d, d, kind)
    first = at_n // tiles * (tall * stride) - border
    top, left = tl.maximum(first, 0), at_n % tiles * (broad * stride) - lead
    end = tl.minimum(first + (tall - 1) * stride + 2 * border + 1, h)
    sharp = scale * LOG2_E
    seen = tl.zeros((tall * broad, block_e), tl.float32)
    peak = tl.full((tall * broad,), -1e38, tl.float32)  # of keys not seen, -inf - peak is no NaN
    total = tl.zeros((tall * broad,), tl.float32)
    for step in range(tl.cdiv(end - top, rows) * across):
        y, x = tile(step, across, top, left, rows, columns)
        in_map = (y < h) & (x >= 0) & (x < w)
        from_key = offsets(y, x, k_h, k_w)
        if whole:
            k = turned(key, k_d, from_key, in_map, block_d, d, kind)
            score = tl.dot(q, k, input_precision="ieee")
        else:
            score = products(
                query, q_d, 1, from_query, inside, key, k_d, 1, from_key, in_map, d,
                kind, tall * broad, rows * columns, depth,
            )  # fmt: skip
        score = score * sharp + often((row * stride)[:, None], y[None], h, border)
        score += often((column * stride)[:, None], x[None], w, border)
        higher = tl.maximum(peak, tl.max(score, axis=1))
        weights = tl.exp2(score - higher[:, None])
        rescale = tl.exp2(peak - higher)
        from_value = offsets(y, x, v_h, v_w)
        v = block(value, v_e, from_value, in_map, at_e * block_e, block_e, e, kind)
        seen = tl.dot(weights.to(kind), v, seen * rescale[:, None], input_precision="ieee")
        total = total * rescale + tl.sum(weights, axis=1)
        peak = higher
    total = tl.where(inside, total, 1.0)
    place = offsets(row, column, j, 1)
    out += part * e * (i * j)
    put(out, i * j, place, inside, at_e * block_e, block_e, e, seen / total[:, None])
    if at_e == 0:
        tl.store(shift + part * (i * j) + place, peak + tl.log2(total), mask=inside)


class _LocalAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, tiling: Any, lean: Plain
    ) -> Tensor:
        b, heads, d, i, j = query.shape
        e = value.shape[2]
        out = value.new_empty(b, heads, e, i, j)
        shift = value.new_empty(b, heads, i, j, dtype=torch.float32)
        tiles, blocks = cut(query, key, value, tiling, d)
        grid = (tiles, parts(e, blocks["block_e"]), b * heads)
        maps = (query, *query.stride(), key, *key.stride(), value, *value.stride())
        launch(_forward, grid, *maps, out, shift, *_sizes(query, value), **blocks)
        ctx.save_for_backward(query, key, value, out, shift)
        ctx.tiling, ctx.lean = tiling, lean
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("local_attention", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        query, key, value, out, shift = ctx.saved_tensors
        wants_query, wants_key, wants_value, *_ = ctx.needs_input_grad
        (b, heads, d, _, _), e = query.shape, value.shape[2]
        maps = (query, *query.stride(), key, *key.stride(), value, *value.stride())
        maps, sizes = (*maps, grad, *grad.stride()), _sizes(query, value)
        level, d_query = torch.empty_like(shift), torch.empty_like(query)
        tiles, blocks = cut(query, key, value, ctx.tiling, d, e)
        grid = (tiles, parts(d, blocks["block_d"]), b * heads)
        given = (*maps, out, shift, level, d_query, *d_query.stride(), *sizes)
        launch(query_gradient, grid, *given, **blocks)
        d_key = d_value = None
        if wants_key or wants_value:
            d_key, d_value = torch.empty_like(key), torch.empty_like(value)
            tiles, blocks = cut(query, key, value, ctx.tiling, d, e, of_keys=True)
            slices = max(parts(d, blocks["block_d"]), parts(e, blocks["block_e"]))
            given = (*maps, shift, level, d_key, *d_key.stride(), d_value, *d_value.stride())
            launch(pair_gradient, (tiles, slices, b * heads), *given, *sizes, **blocks)
        return (
            d_query if wants_query else None,
            d_key if wants_key else None,
            d_value if wants_value else None,
        )


def _sizes(query: Tensor, value: Tensor) -> tuple[Any, ...]:
    """What all kernels are told of the maps; the scale of their products last."""
    _, heads, d, i, j = query.shape
    e, h, w = value.shape[2:]
    return heads, d, e, i, j, h, w, d**-0.5


apply = _LocalAttention.apply
