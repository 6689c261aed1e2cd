"""Gradients of `skewed_mask`: a kernel each for the value, the guides and the mask weights.

All compute the logits of two runs again. With x the run whose guides count, y the other one, and
P = e^(L - shift),

    dz = P g,   dL = P * (z . g - o . g),   da_x = W^T dlines,   dW = dlines a^T
"""

from typing import NamedTuple, no_type_check

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.kernel_launch import built, launch, parts, places, program, span
from pixelwise.ops.running.kernel_pairs import beside, products
from pixelwise.ops.running.kernel_products import pixel_products
from pixelwise.ops.skewed_mask.kernel_skew import between, cut, logits, run_place, to_lines


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
):  # fmt: skip
    """Of a run of sources; `sums` are those of e^-shift g over runs of outputs."""
    index, at_c, image = program(wide, high)
    row, first = run_place(index, tiles, run)
    sources, in_s = span(first, run, w)
    channels, in_c = places(at_c, width, c)
    guide, grad, shift = guide + image * a_b, grad + image * g_b, shift + image * h * w
    sums += image * c * h * tiles
    total = tl.zeros((run, width), tl.float32)
    for step in range(h * tiles):
        other, start = run_place(step, tiles, run)
        row_x, x = (other, start) if collect else (row, first)
        row_y, y = (row, first) if collect else (other, start)
        down, lowest, near = between(row_x, x, row_y, y, p, q, run)
        if near:
            outputs, in_o = span(start, run, w)
            lines, guides = weight + down * w_p, guide + row_x * a_h
            weights = logits(
                lines, w_q, w_d, guides, a_d, a_w, lowest, x, q, d, w, kind, run, depth
            )
            weights = weights if collect else tl.trans(weights)
            if softmax:
                weights -= tl.load(shift + other * w + outputs, mask=in_o, other=0)[None]
                inside = in_s[:, None] & in_o[None]
                weights = tl.exp(tl.where(inside, weights, float("-inf")))
            at = grad + outputs[:, None] * g_w + channels[None] * g_c + other * g_h
            g = tl.load(at, mask=in_o[:, None] & in_c[None], other=0).to(kind)
            total = tl.dot(weights.to(kind), g, total, input_precision="ieee")
        elif softmax:
            total += tl.load(sums + channels * (h * tiles) + step, mask=in_c, other=0)[None]
    at = d_value + image * d_b + channels[None] * d_c + row * d_h + sources[:, None] * d_w
    tl.store(at, total, mask=in_s[:, None] & in_c[None])


@triton.jit
@no_type_check
def _slopes(
    weight, w_q, w_d, guide, a_d, a_w, value, v_c, v_w, grad, g_c, g_w, shift, level,
    lowest, x, y, q, d, c, w, collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    """Gradients of the mask lines between two runs; maps and numbers are those of their rows."""
    columns, in_x = span(x, run, w)
    others, in_y = span(y, run, w)
    if collect:
        slopes = products(
            value, v_c, v_w, others, in_y, grad, g_c, g_w, columns, in_x, c, kind, run, run, depth
        )
    else:
        slopes = products(
            grad, g_c, g_w, others, in_y, value, v_c, v_w, columns, in_x, c, kind, run, run, depth
        )
    if softmax:
        found = logits(weight, w_q, w_d, guide, a_d, a_w, lowest, x, q, d, w, kind, run, depth)
        found -= beside(shift, others, in_y, columns, in_x, not collect)
        slopes -= beside(level, others, in_y, columns, in_x, not collect)
        slopes *= tl.exp(tl.where(in_y[:, None] & in_x[None], found, float("-inf")))
    return to_lines(slopes, run)


@built("p", "q", "h", "tiles")
@no_type_check
def _guide_gradient(
    weight, w_p, w_q, w_d, guide, a_b, a_d, a_h, a_w, value, v_b, v_c, v_h, v_w,
    grad, g_b, g_c, g_h, g_w, shift, level, d_guide, d_b, d_d, d_h, d_w,
    p, q, d, c, h, w, tiles, wide, high,
    collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    index, at_d, image = program(wide, high)
    row, x = run_place(index, tiles, run)
    columns, in_x = span(x, run, w)
    channels, in_d = places(at_d, width, d)
    guide += image * a_b + row * a_h
    value, grad = value + image * v_b, grad + image * g_b
    shift, level = shift + image * h * w, level + image * h * w
    total = tl.zeros((run, width), tl.float32)
    for step in range(h * tiles):
        other, y = run_place(step, tiles, run)
        down, lowest, near = between(row, x, other, y, p, q, run)
        if near:
            output, source = (row, other) if collect else (other, row)
            lines = weight + down * w_p
            slopes = _slopes(
                lines, w_q, w_d, guide, a_d, a_w, value + source * v_h, v_c, v_w,
                grad + output * g_h, g_c, g_w, shift + output * w, level + output * w,
                lowest, x, y, q, d, c, w, collect, softmax, kind, run, depth,
            )  # fmt: skip
            line, in_q = span(lowest, 2 * run, q)
            at = lines + line[:, None] * w_q + channels[None] * w_d
            in_q &= line >= 0
            part = tl.load(at, mask=in_q[:, None] & in_d[None], other=0).to(kind)
            total = tl.dot(tl.trans(slopes).to(kind), part, total, input_precision="ieee")
    at = d_guide + image * d_b + channels[None] * d_d + row * d_h + columns[:, None] * d_w
    tl.store(at, total, mask=in_x[:, None] & in_d[None])


@built("p", "q", "h", "tiles")
@no_type_check
def _weight_gradient(
    weight, w_p, w_q, w_d, guide, a_b, a_d, a_h, a_w, value, v_b, v_c, v_h, v_w,
    grad, g_b, g_c, g_h, g_w, shift, level, d_lines, p, q, d, c, h, w, tiles, wide, high,
    collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Of the lines of one mask row between runs that lie equally far apart, image by image."""
    index, at_d, image = program(wide, high)
    down, apart = run_place(index, 2 * tiles - 1, 1)
    channels, in_d = places(at_d, width, d)
    weight += down * w_p
    guide, value, grad = guide + image * a_b, value + image * v_b, grad + image * g_b
    shift, level = shift + image * h * w, level + image * h * w
    total = tl.zeros((2 * run, width), tl.float32)
    for step in range(h * tiles):
        row, x = run_place(step, tiles, run)
        other, y = row + down - (p - 1) // 2, x + (apart - tiles + 1) * run
        _, lowest, near = between(row, x, other, y, p, q, run)
        if near & (other >= 0) & (other < h) & (y >= 0) & (y < w):
            output, source = (row, other) if collect else (other, row)
            guides = guide + row * a_h
            slopes = _slopes(
                weight, w_q, w_d, guides, a_d, a_w, value + source * v_h, v_c, v_w,
                grad + output * g_h, g_c, g_w, shift + output * w, level + output * w,
                lowest, x, y, q, d, c, w, collect, softmax, kind, run, depth,
            )  # fmt: skip
            columns, in_x = span(x, run, w)
            at = guides + columns[:, None] * a_w + channels[None] * a_d
            part = tl.load(at, mask=in_x[:, None] & in_d[None], other=0).to(kind)
            total = tl.dot(slopes.to(kind), part, total, input_precision="ieee")
    line = (image * wide + index) * 2 * run + tl.arange(0, 2 * run)
    tl.store(d_lines + line[:, None] * d + channels[None], total, mask=in_d[None])


def run_sums(z: Tensor, run: int) -> Tensor:
    """Sums over runs of columns, (b, c, h, runs), in float32."""
    edged = F.pad(z, (0, -z.shape[3] % run))
    return torch.unflatten(edged, 3, (-1, run)).sum(dim=4, dtype=torch.float32).contiguous()


def gradients(
    maps: Maps, wants_weight: bool, wants_guide: bool, wants_value: bool
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of weight, guide and value, each where it is wanted."""
    weight, guide, value, grad, out, shift, collect, softmax = maps
    (p, q, d), (b, c, h, w) = weight.shape, value.shape
    blocks = cut(weight, guide, value)
    flags = {**blocks, "collect": collect, "softmax": softmax}
    run, width = blocks["run"], blocks["width"]
    tiles = parts(w, run)
    sizes = (p, q, d, c, h, w, tiles)
    masks = (weight, *weight.stride(), guide, *guide.stride())
    ends = (value, *value.stride(), grad, *grad.stride())
    d_weight = d_guide = d_value = None
    if wants_value:
        d_value = torch.empty_like(value)
        sums = run_sums(grad * (-shift).exp()[:, None] if softmax else grad, run)
        given = (*masks, grad, *grad.stride(), sums, shift, d_value, *d_value.stride(), *sizes)
        launch(_value_gradient, (h * tiles, parts(c, width), b), *given, **flags)
    level = shift
    if softmax and (wants_guide or wants_weight):
        level = pixel_products(grad.flatten(2), out.flatten(2))
    if wants_guide:
        d_guide = torch.empty_like(guide)
        given = (*masks, *ends, shift, level, d_guide, *d_guide.stride(), *sizes)
        launch(_guide_gradient, (h * tiles, parts(d, width), b), *given, **flags)
    if wants_weight:
        found = shift.new_empty(b, p, 2 * tiles - 1, 2 * run, d)
        grid = (p * (2 * tiles - 1), parts(d, width), b)
        launch(_weight_gradient, grid, *masks, *ends, shift, level, found, *sizes, **flags)
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
