"""`ops.joint_gate` in one pass forward and one backward: neither the gate nor g * x is written."""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.joint_gate.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import TILE, built, launch, parts, places, program
from pixelwise.ops.running.kernels import lean_on_failure


@triton.jit
@no_type_check
def _weights(channel, spatial, product: tl.constexpr):
    if product:
        return tl.sigmoid(channel[:, None] * spatial[None])
    else:
        return tl.sigmoid(channel[:, None] + spatial[None])


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
    s = tl.load(spatial + image * n + columns, mask=in_n, other=0).to(tl.float32)
    at = x + image * x_b + rows[:, None] * x_c + columns[None] * x_n
    seen = tl.load(at, mask=inside, other=0).to(tl.float32) * (1 + _weights(m, s, product))
    at = out + image * out_b + rows[:, None] * out_c + columns[None] * out_n
    tl.store(at, seen, mask=inside)


@built("b")
@no_type_check
def _backward(
    grad, g_b, g_c, g_n, x, x_b, x_c, x_n, channel, spatial, d_x, d_b, d_c, d_n,
    d_channel, d_spatial, b, c, n, wide, high,
    product: tl.constexpr, wants_x: tl.constexpr, wants_gates: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    inside = in_c[:, None] & in_n[None]
    m = tl.load(channel + image * c + rows, mask=in_c, other=0).to(tl.float32)
    s = tl.load(spatial + image * n + columns, mask=in_n, other=0).to(tl.float32)
    weights = _weights(m, s, product)
    at = grad + image * g_b + rows[:, None] * g_c + columns[None] * g_n
    g = tl.load(at, mask=inside, other=0).to(tl.float32)
    if wants_gates:
        at = x + image * x_b + rows[:, None] * x_c + columns[None] * x_n
        slope = g * tl.load(at, mask=inside, other=0).to(tl.float32) * weights * (1 - weights)
        along_n = tl.sum(slope * s[None] if product else slope, axis=1)
        along_c = tl.sum(slope * m[:, None] if product else slope, axis=0)
        tl.store(d_channel + (at_n * b + image) * c + rows, along_n, mask=in_c)
        tl.store(d_spatial + (at_c * b + image) * n + columns, along_c, mask=in_n)
    if wants_x:
        at = d_x + image * d_b + rows[:, None] * d_c + columns[None] * d_n
        tl.store(at, g * (1 + weights), mask=inside)


class _JointGate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, channel: Tensor, spatial: Tensor, product: bool, lean: Plain
    ) -> Tensor:
        ctx.save_for_backward(x, channel, spatial)
        ctx.product, ctx.lean = product, lean
        b, c, n = x.shape
        out, gates = torch.empty_like(x), (channel.contiguous(), spatial.contiguous())
        grid, sides = (parts(n), parts(c), b), (c, n)
        maps = (x, *x.stride(), *gates, out, *out.stride())
        launch(_forward, grid, *maps, *sides, product=product, tile=TILE)
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("joint_gate", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, channel, spatial = ctx.saved_tensors
        wants_x, wants_channel, wants_spatial, *_ = ctx.needs_input_grad
        b, c, n = x.shape
        d_x = torch.empty_like(x)
        wide, high = parts(n), parts(c)
        d_channel = x.new_empty(wide, b, c, dtype=torch.float32)
        d_spatial = x.new_empty(high, b, n, dtype=torch.float32)
        launch(
            _backward, (wide, high, b), grad, *grad.stride(), x, *x.stride(),
            channel.contiguous(), spatial.contiguous(), d_x, *d_x.stride(), d_channel, d_spatial,
            b, c, n, product=ctx.product, wants_x=wants_x,
            wants_gates=wants_channel or wants_spatial, tile=TILE,
        )  # fmt: skip
        return (
            d_x if wants_x else None,
            d_channel.sum(dim=0).to(channel.dtype) if wants_channel else None,
            d_spatial.sum(dim=0).to(spatial.dtype) if wants_spatial else None,
        )


apply = _JointGate.apply
