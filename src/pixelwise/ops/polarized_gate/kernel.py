"""`ops.polarized_gate`: the logits and the gated map, a pass each; backward as many.

Without a direction, forward and backward are one pass each. g * x is never written.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.polarized_gate.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import TILE, built, launch, parts, places, program
from pixelwise.ops.running.kernel_products import over_channels
from pixelwise.ops.running.kernels import lean_on_failure


@triton.jit
@no_type_check
def _gate(channel, spatial, product: tl.constexpr):
    if product:
        return channel[:, None] * spatial[None]
    else:
        return channel[:, None] + spatial[None]


@built()
@no_type_check
def _forward(
    x, x_b, x_c, x_n, channel, spatial, out, out_b, out_c, out_n, c, n, wide, high,
    product: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    inside = in_c[:, None] & in_n[None]
    m = tl.load(channel + image * c + rows, mask=in_c, other=0).to(tl.float32)
    s = tl.load(spatial + image * n + columns, mask=in_n, other=0)
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


@built("b")
@no_type_check
def _send(
    grad, g_b, g_c, g_n, x, x_b, x_c, x_n, channel, spatial, direction, d_logits,
    d_x, d_b, d_c, d_n, d_direction, b, c, n, wide, high,
    product: tl.constexpr, wants_x: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """What the logits' gradients are to the direction, and to x beside the gate's own."""
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    inside = in_c[:, None] & in_n[None]
    along = tl.load(d_logits + image * n + columns, mask=in_n, other=0)
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
        if direction is None:
            assert offset is not None, "a gate needs a direction or an offset"
            logits = offset.float().expand(-1, n)
        else:
            logits = over_channels(x, direction)
            logits = logits if offset is None else logits + offset
        weights = logits.softmax(dim=-1) if softmax else None
        spatial = (logits if weights is None else weights).sigmoid().contiguous()
        ctx.product, ctx.softmax, ctx.lean = product, softmax, lean
        ctx.save_for_backward(x, channel, direction, offset, weights, spatial)
        out = torch.empty_like(x)
        maps = (x, *x.stride(), channel.contiguous(), spatial, out, *out.stride())
        launch(_forward, (parts(n), parts(c), b), *maps, c, n, product=product, tile=TILE)
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("polarized_gate", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, channel, direction, offset, weights, spatial = ctx.saved_tensors
        wants_x, wants_channel, wants_direction, wants_offset, *_ = ctx.needs_input_grad
        b, c, n = x.shape
        grid, flags = (parts(n), parts(c), b), {"product": ctx.product, "tile": TILE}
        d_x = torch.empty_like(x)
        d_channel = spatial.new_empty(parts(n), b, c)
        d_spatial = spatial.new_empty(parts(c), b, n)
        maps = (grad, *grad.stride(), x, *x.stride(), channel.contiguous(), spatial)
        launch(
            _reduce, grid, *maps, d_x, *d_x.stride(), d_channel, d_spatial, b, c, n,
            sends_x=wants_x and direction is None, **flags,
        )  # fmt: skip
        d_logits = d_spatial.sum(dim=0).mul_(spatial * (1 - spatial))
        if weights is not None:
            d_logits = weights * (d_logits - (weights * d_logits).sum(dim=-1, keepdim=True))
        d_direction = d_offset = None
        if direction is not None and (wants_x or wants_direction):
            by_part = spatial.new_empty(parts(n), b, c)
            launch(
                _send, grid, *maps, direction.contiguous(), d_logits, d_x, *d_x.stride(),
                by_part, b, c, n, wants_x=wants_x, **flags,
            )  # fmt: skip
            d_direction = by_part.sum(dim=0).to(direction.dtype) if wants_direction else None
        if wants_offset:
            d_offset = d_logits.sum_to_size(offset.shape).to(offset.dtype)
        return (
            d_x if wants_x else None,
            d_channel.sum(dim=0).to(channel.dtype) if wants_channel else None,
            d_direction,
            d_offset,
        )


apply = _Gate.apply
