"""`ops.skewed_mask`; of the logits only those of two runs of pixels exist at a time.

Forward, a program has a run of outputs of one row and a slice of the value's channels, and goes
through runs of sources with a running softmax; `kernel_skew` says how it has their logits. Where a
run of sources is wholly outside of the mask, e^0 weighs the sum of its values, known before.
"""

from typing import Any, no_type_check

import torch
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import built, launch, parts, places, program, span
from pixelwise.ops.running.kernels import lean_on_failure
from pixelwise.ops.skewed_mask.kernel_gradients import Maps, gradients, run_sums
from pixelwise.ops.skewed_mask.kernel_skew import between, cut, logits, run_place
from pixelwise.ops.skewed_mask.plain import again


@built("p", "q", "h", "tiles")
@no_type_check
def _forward(
    weight, w_p, w_q, w_d, guide, a_b, a_d, a_h, a_w, value, v_b, v_c, v_h, v_w, sums, out, shift,
    p, q, d, c, h, w, tiles, wide, high, collect: tl.constexpr, softmax: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    index, at_c, image = program(wide, high)
    row, first = run_place(index, tiles, run)
    outputs, in_o = span(first, run, w)
    channels, in_c = places(at_c, width, c)
    guide, value = guide + image * a_b, value + image * v_b
    sums += image * c * h * tiles
    seen = tl.zeros((run, width), tl.float32)
    peak = tl.full((run,), float("-inf"), tl.float32)
    total = tl.zeros((run,), tl.float32)
    for step in range(h * tiles):
        other, start = run_place(step, tiles, run)
        row_x, x = (row, first) if collect else (other, start)
        row_y, y = (other, start) if collect else (row, first)
        down, lowest, near = between(row_x, x, row_y, y, p, q, run)
        if near:
            sources, in_s = span(start, run, w)
            lines, guides = weight + down * w_p, guide + row_x * a_h
            weights = logits(
                lines, w_q, w_d, guides, a_d, a_w, lowest, x, q, d, w, kind, run, depth
            )
            weights = tl.trans(weights) if collect else weights
            if softmax:
                weights = tl.where(in_s[None], weights, float("-inf"))
                higher = tl.maximum(peak, tl.max(weights, axis=1))
                weights, scale = tl.exp(weights - higher[:, None]), tl.exp(peak - higher)
                total = total * scale + tl.sum(weights, axis=1)
                seen *= scale[:, None]
                peak = higher
            at = value + sources[:, None] * v_w + channels[None] * v_c + other * v_h
            z = tl.load(at, mask=in_s[:, None] & in_c[None], other=0).to(kind)
            seen = tl.dot(weights.to(kind), z, seen, input_precision="ieee")
        elif softmax:
            higher = tl.maximum(peak, 0.0)
            zero, scale = tl.exp(-higher), tl.exp(peak - higher)
            z_sum = tl.load(sums + channels * (h * tiles) + step, mask=in_c, other=0)
            seen = seen * scale[:, None] + zero[:, None] * z_sum[None]
            total = total * scale + zero * tl.minimum(w - start, run)
            peak = higher
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
        blocks = cut(weight, guide, value)
        tiles, sums = parts(w, blocks["run"]), run_sums(value, blocks["run"])
        out = value.new_empty(value.shape)
        shift = value.new_zeros(b, h, w, dtype=torch.float32)
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
