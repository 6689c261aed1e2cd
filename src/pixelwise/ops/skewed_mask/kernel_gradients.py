"""Gradients of `skewed_mask`: a kernel each for the value, the guides and the mask weights.

All compute the logits of two runs again. With x the run whose guides count, y the other one, and
P = e^(L - shift),

    dz = P g,   dL = P * (z . g - o . g),   da_x = W^T dlines,   dW = dlines a^T
"""

from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.kernel_launch import (
    built,
    launch,
    padded,
    parts,
    places,
    program,
    span,
)
from pixelwise.ops.running.kernel_pairs import beside, pixels, products
from pixelwise.ops.running.kernel_products import pixel_products
from pixelwise.ops.skewed_mask.kernel_skew import (
    MOST,
    cut,
    far_sums,
    held_guides,
    logits,
    near_rows,
    run_place,
    to_lines,
)


class Maps(NamedTuple):
    """What forward had and left, and the gradient of what it returned."""

    weight: Tensor
    guide: Tensor
    value: Tensor
    grad: Tensor
    out: Tensor
    shift: Tensor
    collect: bool
    softmax: bool


@built("p", "q", "h", "tiles")
@no_type_check
def _value_gradient(
    weight, w_p, w_q, w_d, guide, a_b, a_d, a_h, a_w, grad, g_b, g_c, g_h, g_w, sums, shift,
    d_value, d_b, d_c, d_h, d_w, p, q, d, c, h, w, tiles, wide, high,
    collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, width: tl.constexpr,
    whole: tl.constexpr,
):  # fmt: skip
    """Of a run of sources; `sums` are those of e^-shift g over rows of outputs."""
    index, at_c, image = program(wide, high)
    row, first = run_place(index, tiles, run)
    sources, in_s = span(first, run, w)
    channels, in_c = places(at_c, width, c)
    guide, grad, shift = guide + image * a_b, grad + image * g_b, shift + image * h * w
    near, end = near_rows(row, p, h, not collect)
    total = tl.zeros((run, width), tl.float32)
    if softmax:
        total += far_sums(sums + image * c * h, channels, in_c, near, end, h, width)[None]
    held = held_guides(
        guide + row * a_h, a_d, a_w, first, d, w, kind, run, depth, whole and not collect
    )
    lower = tl.zeros((run, run), tl.float32)
    steps = tiles if collect else tiles + 1
    for step in range(near * steps, end * steps):
        other, start = run_place(step, steps, run)
        start = start if collect else start - run
        weights, lower = logits(
            weight, w_p, w_q, w_d, guide, a_d, a_h, a_w, held, lower, row, first, other, start,
            p, q, d, w, not collect, kind, run, depth, whole,
        )  # fmt: skip
        weights = weights if collect else tl.trans(weights)
        outputs, in_o = span(start, run, w)
        in_o &= outputs >= 0
        if softmax:
            weights -= tl.load(shift + other * w + outputs, mask=in_o, other=0)[None]
            weights = tl.exp(tl.where(in_s[:, None] & in_o[None], weights, float("-inf")))
        else:
            weights = tl.where(in_o[None], weights, 0)
        g = pixels(grad + other * g_h, g_c, g_w, outputs, in_o, c, width, at_c * width).to(kind)
        total = tl.dot(weights.to(kind), g, total, input_precision="ieee")
    at = d_value + image * d_b + channels[None] * d_c + row * d_h + sources[:, None] * d_w
    tl.store(at, total, mask=in_s[:, None] & in_c[None])


@triton.jit
@no_type_check
def _slopes(
    x_map, x_c, x_w, columns, in_x, y_map, y_c, y_w, others, in_y, held, c,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, broad: tl.constexpr,
    whole: tl.constexpr,
):  # fmt: skip
    """`y . x` for all pairs of two runs, one of the value and one of the gradient."""
    if whole:
        other = pixels(y_map, y_c, y_w, others, in_y, c, broad).to(kind)
        return tl.dot(other, tl.trans(held), input_precision="ieee")
    else:
        return products(
            y_map, y_c, y_w, others, in_y, x_map, x_c, x_w, columns, in_x, c, kind, run, run, depth
        )


@triton.jit
@no_type_check
def _through_softmax(
    slopes, found, shift, level, others, in_y, columns, in_x, collect: tl.constexpr
):
    """Gradients of the logits; the numbers are those of a row of outputs."""
    found -= beside(shift, others, in_y, columns, in_x, not collect)
    slopes -= beside(level, others, in_y, columns, in_x, not collect)
    return slopes * tl.exp(tl.where(in_y[:, None] & in_x[None], found, float("-inf")))


@built("p", "q", "h", "tiles")
@no_type_check
def _guide_gradient(
    weight, w_p, w_q, w_d, guide, a_b, a_d, a_h, a_w, near_map, x_b, x_c, x_h, x_w,
    other_map, y_b, y_c, y_h, y_w, shift, level, d_guide, d_b, d_d, d_h, d_w,
    p, q, d, c, h, w, tiles, wide, high,
    collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, width: tl.constexpr,
    broad: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    """Of a run of x; `near_map` is, of gradient and value, the one at x, `other_map` that at y."""
    index, at_d, image = program(wide, high)
    row, x = run_place(index, tiles, run)
    columns, in_x = span(x, run, w)
    channels, in_d = places(at_d, width, d)
    guide += image * a_b
    near_map, other_map = near_map + image * x_b + row * x_h, other_map + image * y_b
    shift, level = shift + image * h * w, level + image * h * w
    held = held_guides(guide + row * a_h, a_d, a_w, x, d, w, kind, run, depth, whole)
    held_x = held_guides(near_map, x_c, x_w, x, c, w, kind, run, broad, whole)
    total = tl.zeros((run, width), tl.float32)
    lower = tl.zeros((run, run), tl.float32)
    near, end = near_rows(row, p, h, True)
    for step in range(near * (tiles + 1), end * (tiles + 1)):
        other, y = run_place(step, tiles + 1, run)
        y -= run
        others, in_y = span(y, run, w)
        in_y &= others >= 0
        slopes = _slopes(
            near_map, x_c, x_w, columns, in_x, other_map + other * y_h, y_c, y_w, others, in_y,
            held_x, c, kind, run, depth, broad, whole,
        )  # fmt: skip
        if softmax:
            found, lower = logits(
                weight, w_p, w_q, w_d, guide, a_d, a_h, a_w, held, lower, row, x, other, y,
                p, q, d, w, True, kind, run, depth, whole,
            )  # fmt: skip
            output = row if collect else other
            slopes = _through_softmax(
                slopes, found, shift + output * w, level + output * w,
                others, in_y, columns, in_x, collect,
            )  # fmt: skip
        line, in_q = span(y - x + (q - 1) // 2 - run + 1, 2 * run, q)
        in_q &= line >= 0
        lines = weight + (other - row + (p - 1) // 2) * w_p
        part = pixels(lines, w_d, w_q, line, in_q, d, width, at_d * width).to(kind)
        lined = tl.trans(to_lines(slopes, run)).to(kind)
        total = tl.dot(lined, part, total, input_precision="ieee")
    at = d_guide + image * d_b + channels[None] * d_d + row * d_h + columns[:, None] * d_w
    tl.store(at, total, mask=in_x[:, None] & in_d[None])


@built("p", "q", "h", "tiles")
@no_type_check
def _weight_gradient(
    weight, w_p, w_q, w_d, guide, a_b, a_d, a_h, a_w, near_map, x_b, x_c, x_h, x_w,
    other_map, y_b, y_c, y_h, y_w, shift, level, d_lines, p, q, d, c, h, w, tiles, wide, high,
    collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, width: tl.constexpr,
    broad: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    """Of the lines of one mask row between runs that lie equally far apart, image by image."""
    index, at_d, image = program(wide, high)
    down, apart = run_place(index, 2 * tiles - 1, 1)
    channels, in_d = places(at_d, width, d)
    guide, near_map, other_map = (
        guide + image * a_b,
        near_map + image * x_b,
        other_map + image * y_b,
    )
    shift, level = shift + image * h * w, level + image * h * w
    below, aside = down - (p - 1) // 2, apart - tiles + 1
    near, left = tl.maximum(-below, 0), tl.maximum(-aside, 0)
    count = tiles - tl.abs(aside)
    rows = tl.maximum(h - tl.abs(below), 0)
    lower = tl.zeros((run, run), tl.float32)
    total = tl.zeros((2 * run, width), tl.float32)
    for step in range(rows * count):
        row, x = near + step // count, (left + step % count) * run
        other, y = row + below, x + aside * run
        columns, in_x = span(x, run, w)
        others, in_y = span(y, run, w)
        at_x = near_map + row * x_h
        held_x = held_guides(at_x, x_c, x_w, x, c, w, kind, run, broad, whole)
        slopes = _slopes(
            at_x, x_c, x_w, columns, in_x, other_map + other * y_h, y_c, y_w, others, in_y,
            held_x, c, kind, run, depth, broad, whole,
        )  # fmt: skip
        if softmax:
            found, _ = logits(
                weight, w_p, w_q, w_d, guide, a_d, a_h, a_w, 0, lower, other, y, row, x,
                p, q, d, w, False, kind, run, depth, whole,
            )  # fmt: skip
            output = row if collect else other
            slopes = _through_softmax(
                slopes, found, shift + output * w, level + output * w,
                others, in_y, columns, in_x, collect,
            )  # fmt: skip
        part = pixels(guide + row * a_h, a_d, a_w, columns, in_x, d, width, at_d * width).to(kind)
        lined = to_lines(slopes, run).to(kind)
        total = tl.dot(lined, part, total, input_precision="ieee")
    line = (image * wide + index) * 2 * run + tl.arange(0, 2 * run)
    tl.store(d_lines + line[:, None] * d + channels[None], total, mask=in_d[None])


def row_sums(z: Tensor) -> Tensor:
    """Sums over rows, (b, c, h), in float32."""
    return z.sum(dim=3, dtype=torch.float32).contiguous()


def has_far_rows(weight: Tensor, value: Tensor, softmax: bool) -> bool:
    """Whether sums of rows count: those that a mask does not reach, where a softmax weighs them."""
    return softmax and (len(weight) - 1) // 2 < value.shape[2] - 1


def gradients(
    maps: Maps, wants_weight: bool, wants_guide: bool, wants_value: bool
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of weight, guide and value, each where it is wanted."""
    weight, guide, value, grad, out, shift, collect, softmax = maps
    (p, q, d), (b, c, h, w) = weight.shape, value.shape
    flags = {"collect": collect, "softmax": softmax}
    inputs = (weight, guide, value)
    blocks = cut(inputs, c, holds=int(not collect))
    tiles = parts(w, blocks["run"])
    sizes = (p, q, d, c, h, w, tiles)
    masks = (weight, *weight.stride(), guide, *guide.stride())
    d_weight = d_guide = d_value = None
    if wants_value:
        d_value = torch.empty_like(value)
        far = has_far_rows(weight, value, softmax)
        sums = row_sums(grad * (-shift).exp()[:, None]) if far else shift
        given = (*masks, grad, *grad.stride(), sums, shift, d_value, *d_value.stride(), *sizes)
        grid = (h * tiles, parts(c, blocks["width"]), b)
        launch(_value_gradient, grid, *given, **flags, **blocks)
    level = shift
    if softmax and (wants_guide or wants_weight):
        level = pixel_products(grad.flatten(2), out.flatten(2))
    ends = (grad, *grad.stride(), value, *value.stride())
    if not collect:
        ends = (value, *value.stride(), grad, *grad.stride())
    broad = padded(c, MOST)
    if wants_guide:
        blocks = cut(inputs, d, holds=2, lines=2)
        d_guide = torch.empty_like(guide)
        given = (*masks, *ends, shift, level, d_guide, *d_guide.stride(), *sizes)
        grid = (h * tiles, parts(d, blocks["width"]), b)
        launch(_guide_gradient, grid, *given, broad=broad, **flags, **blocks)
    if wants_weight:
        blocks = cut(inputs, d, holds=0, lines=2)
        found = shift.new_empty(b, p, 2 * tiles - 1, 2 * blocks["run"], d)
        grid = (p * (2 * tiles - 1), parts(d, blocks["width"]), b)
        given = (*masks, *ends, shift, level, found, *sizes)
        launch(_weight_gradient, grid, *given, broad=broad, **flags, **blocks)
        d_weight = _added(found.sum(dim=0), q).to(weight.dtype)
    return d_weight, d_guide, d_value


def _added(parts_of_lines: Tensor, q: int) -> Tensor:
    """Lines (p, apart, line, d), each twice or less, added to where they are in a mask of q."""
    p, apart, lines, d = parts_of_lines.shape
    run, tiles = lines // 2, (apart + 1) // 2
    lowest = (q - 1) // 2 - tiles * run + 1
    whole = parts_of_lines.new_zeros(p, (apart + 1) * run, d)
    for i in range(apart):
        whole[:, i * run : i * run + lines] += parts_of_lines[:, i]
    first, last = max(0, lowest), min(q, lowest + whole.shape[1])
    found = whole.new_zeros(p, q, d)
    if first < last:
        found[:, first:last] = whole[:, first - lowest : last - lowest]
    return found
