"""Gradients of attention in windows: a program has a tile of queries, or one of keys.

With P the weights, each as often as the query sees the key,

    dv = P^T g,   dS = P * (g . v - g . o),   dq = dS k,   dk = dS^T q
"""

from typing import no_type_check

import triton.language as tl

from pixelwise.ops.local_attention.kernel_halo import (
    LOG2_E,
    block,
    offsets,
    often,
    put,
    tile,
    turned,
)
from pixelwise.ops.running.kernel_launch import built, program
from pixelwise.ops.running.kernel_pairs import products


@built("heads", "i", "h")
@no_type_check
def query_gradient(
    query, q_b, q_m, q_d, q_i, q_j, key, k_b, k_m, k_d, k_h, k_w, value, v_b, v_m, v_e, v_h, v_w,
    grad, g_b, g_m, g_e, g_i, g_j, out, shift, level, d_query, d_b, d_m, d_d, d_i, d_j,
    heads, d, e, i, j, h, w, scale, wide, high,
    kind: tl.constexpr, border: tl.constexpr, lead: tl.constexpr, stride: tl.constexpr,
    tall: tl.constexpr, broad: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
    across: tl.constexpr, whole: tl.constexpr, depth: tl.constexpr,
    block_d: tl.constexpr, block_e: tl.constexpr,
):  # fmt: skip
    """Leaves `g . o` of every query as well."""
    at_n, at_d, part = program(wide, high)
    image, head = part // heads, part % heads
    query, key = query + image * q_b + head * q_m, key + image * k_b + head * k_m
    value, grad = value + image * v_b + head * v_m, grad + image * g_b + head * g_m
    tiles = tl.cdiv(j, broad)
    row, column = tile(at_n, tiles, 0, 0, tall, broad)
    inside = (row < i) & (column < j)
    from_query, from_grad = offsets(row, column, q_i, q_j), offsets(row, column, g_i, g_j)
    place = offsets(row, column, j, 1)
    along = tl.zeros((tall * broad,), tl.float32)
    for start in range(0, e, block_e):
        g = block(grad, g_e, from_grad, inside, start, block_e, e, tl.float32)
        seen = block(out + part * e * (i * j), i * j, place, inside, start, block_e, e, tl.float32)
        along += tl.sum(g * seen, axis=1)
    if at_d == 0:
        tl.store(level + part * (i * j) + place, along, mask=inside)
    peak = tl.load(shift + part * (i * j) + place, mask=inside, other=0)
    if whole:
        q = block(query, q_d, from_query, inside, 0, block_d, d, kind)
        g = block(grad, g_e, from_grad, inside, 0, block_e, e, kind)
    first = at_n // tiles * (tall * stride) - border
    top, left = tl.maximum(first, 0), at_n % tiles * (broad * stride) - lead
    end = tl.minimum(first + (tall - 1) * stride + 2 * border + 1, h)
    sharp = scale * LOG2_E
    found = tl.zeros((tall * broad, block_d), tl.float32)
    for step in range(tl.cdiv(end - top, rows) * across):
        y, x = tile(step, across, top, left, rows, columns)
        in_map = (y < h) & (x >= 0) & (x < w)
        from_key = offsets(y, x, k_h, k_w)
        from_value = offsets(y, x, v_h, v_w)
        k = block(key, k_d, from_key, in_map, at_d * block_d, block_d, d, kind)
        if whole:
            v = turned(value, v_e, from_value, in_map, block_e, e, kind)
            score = tl.dot(q, tl.trans(k), input_precision="ieee")
            slope = tl.dot(g, v, input_precision="ieee")
        else:
            score = products(
                query, q_d, 1, from_query, inside, key, k_d, 1, from_key, in_map, d,
                kind, tall * broad, rows * columns, depth,
            )  # fmt: skip
            slope = products(
                grad, g_e, 1, from_grad, inside, value, v_e, 1, from_value, in_map, e,
                kind, tall * broad, rows * columns, depth,
            )  # fmt: skip
        seeing = often((row * stride)[:, None], y[None], h, border) - peak[:, None]
        seeing += often((column * stride)[:, None], x[None], w, border)
        slope = tl.exp2(score * sharp + seeing) * (slope - along[:, None])
        found = tl.dot(slope.to(kind), k, found, input_precision="ieee")
    pixels = offsets(row, column, d_i, d_j)
    d_query += image * d_b + head * d_m
    put(d_query, d_d, pixels, inside, at_d * block_d, block_d, d, found * scale)


@built("heads", "i", "h")
@no_type_check
def pair_gradient(
    query, q_b, q_m, q_d, q_i, q_j, key, k_b, k_m, k_d, k_h, k_w, value, v_b, v_m, v_e, v_h, v_w,
    grad, g_b, g_m, g_e, g_i, g_j, shift, level,
    d_key, dk_b, dk_m, dk_d, dk_h, dk_w, d_value, dv_b, dv_m, dv_e, dv_h, dv_w,
    heads, d, e, i, j, h, w, scale, wide, high,
    kind: tl.constexpr, border: tl.constexpr, lead: tl.constexpr, stride: tl.constexpr,
    tall: tl.constexpr, broad: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
    across: tl.constexpr, whole: tl.constexpr, depth: tl.constexpr,
    block_d: tl.constexpr, block_e: tl.constexpr,
):  # fmt: skip
    """Of keys and values, a slice of each."""
    at_n, at_c, part = program(wide, high)
    image, head = part // heads, part % heads
    query, key = query + image * q_b + head * q_m, key + image * k_b + head * k_m
    value, grad = value + image * v_b + head * v_m, grad + image * g_b + head * g_m
    shift, level = shift + part * (i * j), level + part * (i * j)
    tiles = tl.cdiv(w, broad)
    y, x = tile(at_n, tiles, 0, 0, tall, broad)
    inside = (y < h) & (x < w)
    from_key, from_value = offsets(y, x, k_h, k_w), offsets(y, x, v_h, v_w)
    if whole:
        k = block(key, k_d, from_key, inside, 0, block_d, d, kind)
        v = block(value, v_e, from_value, inside, 0, block_e, e, kind)
    # The first query to see them, rounded down: floor((y - b) / s), with no number below 0.
    first = (at_n // tiles * tall + border * (stride - 1)) // stride - border
    left = (at_n % tiles * broad + lead * (stride - 1)) // stride - lead
    top = tl.maximum(first, 0)
    end = tl.minimum((at_n // tiles * tall + tall - 1 + border) // stride + 1, i)
    sharp = scale * LOG2_E
    found_k = tl.zeros((tall * broad, block_d), tl.float32)
    found_v = tl.zeros((tall * broad, block_e), tl.float32)
    for step in range(tl.cdiv(end - top, rows) * across):
        row, column = tile(step, across, top, left, rows, columns)
        in_map = (row < i) & (column >= 0) & (column < j)
        from_query = offsets(row, column, q_i, q_j)
        from_grad = offsets(row, column, g_i, g_j)
        q = block(query, q_d, from_query, in_map, at_c * block_d, block_d, d, kind)
        g = block(grad, g_e, from_grad, in_map, at_c * block_e, block_e, e, kind)
        if whole:
            score = tl.dot(k, tl.trans(q), input_precision="ieee")
            slope = tl.dot(v, tl.trans(g), input_precision="ieee")
        else:
            score = products(
                key, k_d, 1, from_key, inside, query, q_d, 1, from_query, in_map, d,
                kind, tall * broad, rows * columns, depth,
            )  # fmt: skip
            slope = products(
                value, v_e, 1, from_value, inside, grad, g_e, 1, from_grad, in_map, e,
                kind, tall * broad, rows * columns, depth,
            )  # fmt: skip
        place = offsets(row, column, j, 1)
        peak = tl.load(shift + place, mask=in_map, other=0)
        along = tl.load(level + place, mask=in_map, other=0)
        seeing = often((row * stride)[None], y[:, None], h, border) - peak[None]
        seeing += often((column * stride)[None], x[:, None], w, border)
        weights = tl.exp2(score * sharp + seeing)
        slope = weights * (slope - along[None])
        found_v = tl.dot(weights.to(kind), g, found_v, input_precision="ieee")
        found_k = tl.dot(slope.to(kind), q, found_k, input_precision="ieee")
    d_key += image * dk_b + head * dk_m
    d_value += image * dv_b + head * dv_m
    pixels = offsets(y, x, dk_h, dk_w)
    put(d_key, dk_d, pixels, inside, at_c * block_d, block_d, d, found_k * scale)
    pixels = offsets(y, x, dv_h, dv_w)
    put(d_value, dv_e, pixels, inside, at_c * block_e, block_e, e, found_v)
