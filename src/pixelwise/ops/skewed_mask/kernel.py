"""`ops.skewed_mask`; of the logits only those of two runs of pixels exist at a time.

Forward, a program has a run of outputs of one row and all channels of the value, or many of them,
and goes through runs of sources with a running softmax; `kernel_skew` says how it has their logits.
It begins with the rows of sources that the mask does not reach: their logits are 0, and the sums of
their values known before.
"""

from typing import Any, no_type_check

import torch
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import built, launch, parts, places, program, span
from pixelwise.ops.running.kernel_pairs import pixels
from pixelwise.ops.running.kernels import lean_on_failure
from pixelwise.ops.skewed_mask.kernel_gradients import Maps, gradients, has_far_rows, row_sums
from pixelwise.ops.skewed_mask.kernel_skew import (
    LOWEST,
    cut,
    far_sums,
    held_guides,
    logits,
    near_rows,
    run_place,
)
from pixelwise.ops.skewed_mask.plain import again


@built("p", "q", "h", "tiles")
@no_type_check
def _forward(
    weight, w_p, w_q, w_d, guide, a_b, a_d, a_h, a_w, value, v_b, v_c, v_h, v_w, sums, out, shift,
    p, q, d, c, h, w, tiles, wide, high, collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, width: tl.constexpr,
    whole: tl.constexpr,
):  # fmt: skip
    index, at_c, image = program(wide, high)
    row, first = run_place(index, tiles, run)
    outputs, in_o = span(first, run, w)
    channels, in_c = places(at_c, width, c)
    guide, value = guide + image * a_b, value + image * v_b
    near, end = near_rows(row, p, h, collect)
    seen = tl.zeros((run, width), tl.float32)
    if softmax:
        far = h - end + near
        seen += far_sums(sums + image * c * h, channels, in_c, near, end, h, width)[None]
        total = tl.zeros((run,), tl.float32) + far * w
        peak = tl.where(total > 0, 0.0, LOWEST)
    held = held_guides(
        guide + row * a_h, a_d, a_w, first, d, w, kind, run, depth, whole and collect
    )
    lower = tl.zeros((run, run), tl.float32)
    steps = tiles + 1 if collect else tiles  # lines alone, before the first run of a row
    for step in range(near * steps, end * steps):
        other, start = run_place(step, steps, run)
        start = start - run if collect else start
        weights, lower = logits(
            weight, w_p, w_q, w_d, guide, a_d, a_h, a_w, held, lower, row, first, other, start,
            p, q, d, w, collect, kind, run, depth, whole,
        )  # fmt: skip
        weights = tl.trans(weights) if collect else weights
        sources, in_s = span(start, run, w)
        in_s &= sources >= 0
        if softmax:
            weights = tl.where(in_s[None], weights, float("-inf"))
            higher = tl.maximum(peak, tl.max(weights, axis=1))
            weights, scale = tl.exp(weights - higher[:, None]), tl.exp(peak - higher)
            total = total * scale + tl.sum(weights, axis=1)
            seen *= scale[:, None]
            peak = higher
        else:
            weights = tl.where(in_s[None], weights, 0)
        z = pixels(value + other * v_h, v_c, v_w, sources, in_s, c, width, at_c * width).to(kind)
        seen = tl.dot(weights.to(kind), z, seen, input_precision="ieee")
    if softmax:
        seen /= total[:, None]
        if at_c == 0:
            tl.store(shift + (image * h + row) * w + outputs, peak + tl.log(total), mask=in_o)
    at = out + ((image * c + channels[None]) * h + row) * w + outputs[:, None]
    tl.store(at, seen, mask=in_o[:, None] & in_c[None])


class _SkewedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        guide: Tensor,
        value: Tensor,
        collect: bool,
        softmax: bool,
        lean: Plain,
    ) -> Tensor:
        (p, q, d), (b, c, h, w) = weight.shape, value.shape
        blocks = cut((weight, guide, value), c, holds=int(collect))
        tiles = parts(w, blocks["run"])
        out = value.new_empty(value.shape)
        shift = value.new_zeros(b, h, w, dtype=torch.float32)
        sums = row_sums(value) if has_far_rows(weight, value, softmax) else shift
        grid = (h * tiles, parts(c, blocks["width"]), b)
        maps = (weight, *weight.stride(), guide, *guide.stride(), value, *value.stride())
        sizes = (p, q, d, c, h, w, tiles)
        launch(
            _forward, grid, *maps, sums, out, shift, *sizes,
            collect=collect, softmax=softmax, **blocks,
        )  # fmt: skip
        ctx.save_for_backward(weight, guide, value, out, shift)
        ctx.options, ctx.lean = (collect, softmax), lean
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("skewed_mask", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        weight, guide, value, out, shift = ctx.saved_tensors
        maps = Maps(weight, guide, value, grad, out, shift, *ctx.options)
        return gradients(maps, *ctx.needs_input_grad[:3])


apply = _SkewedAttention.apply
