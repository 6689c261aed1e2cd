"""`ops.axis_gate` in one pass forward and one backward: g * x is never written.

A program has a tile of some planes, and leaves the gradients of its stretch of the gates. A second
kernel adds those of all tiles, always in the same order.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.axis_gate.plain import again
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import built, launch, parts, places, program, span
from pixelwise.ops.running.kernels import lean_on_failure

PLANE = (1, 64, 64)
"""Channels, rows and columns of a program where pixels lie side by side in memory."""
CHANNELS_LAST = (32, 16, 16)
"""The same where channels do."""
ADDED = 1024
"""Gates of a program that adds their gradients."""


@triton.jit
@no_type_check
def _place(
    tile, at_w, c, h, w, tiles_h,
    block_c: tl.constexpr, block_h: tl.constexpr, block_w: tl.constexpr,
):  # fmt: skip
    """The channels, rows and columns of a program, and which of them there are."""
    columns, in_w = places(at_w, block_w, w)
    rows, in_h = span(tile % tiles_h * block_h, block_h, h)
    channels, in_c = span(tile // tiles_h * block_c, block_c, c)
    return channels, rows, columns, in_c, in_h, in_w


@built("h", "tiles_h")
@no_type_check
def _forward(
    x, x_b, x_c, x_h, x_w, row, column, out, out_b, out_c, out_h, out_w,
    c, h, w, tiles_h, wide, high,
    block_c: tl.constexpr, block_h: tl.constexpr, block_w: tl.constexpr,
):  # fmt: skip
    tile, at_w, image = program(wide, high)
    channels, rows, columns, in_c, in_h, in_w = _place(
        tile, at_w, c, h, w, tiles_h, block_c, block_h, block_w
    )
    inside = in_c[:, None, None] & in_h[None, :, None] & in_w[None, None]
    at = row + (image * c + channels[:, None]) * h + rows[None]
    s = tl.load(at, mask=in_c[:, None] & in_h[None], other=0).to(tl.float32)
    at = column + (image * c + channels[:, None]) * w + columns[None]
    t = tl.load(at, mask=in_c[:, None] & in_w[None], other=0).to(tl.float32)
    at = x + image * x_b + channels[:, None, None] * x_c
    at += rows[None, :, None] * x_h + columns[None, None] * x_w
    seen = tl.load(at, mask=inside, other=0).to(tl.float32) * s[:, :, None] * t[:, None]
    at = out + image * out_b + channels[:, None, None] * out_c
    at += rows[None, :, None] * out_h + columns[None, None] * out_w
    tl.store(at, seen, mask=inside)


@built("b", "h", "tiles_h")
@no_type_check
def _backward(
    grad, g_b, g_c, g_h, g_w, x, x_b, x_c, x_h, x_w, row, column, d_x, d_b, d_c, d_h, d_w,
    d_row, d_column, b, c, h, w, tiles_h, wide, high,
    wants_x: tl.constexpr, wants_gates: tl.constexpr,
    block_c: tl.constexpr, block_h: tl.constexpr, block_w: tl.constexpr,
):  # fmt: skip
    tile, at_w, image = program(wide, high)
    channels, rows, columns, in_c, in_h, in_w = _place(
        tile, at_w, c, h, w, tiles_h, block_c, block_h, block_w
    )
    inside = in_c[:, None, None] & in_h[None, :, None] & in_w[None, None]
    at = row + (image * c + channels[:, None]) * h + rows[None]
    s = tl.load(at, mask=in_c[:, None] & in_h[None], other=0).to(tl.float32)
    at = column + (image * c + channels[:, None]) * w + columns[None]
    t = tl.load(at, mask=in_c[:, None] & in_w[None], other=0).to(tl.float32)
    at = grad + image * g_b + channels[:, None, None] * g_c
    at += rows[None, :, None] * g_h + columns[None, None] * g_w
    g = tl.load(at, mask=inside, other=0).to(tl.float32)
    if wants_gates:
        at = x + image * x_b + channels[:, None, None] * x_c
        at += rows[None, :, None] * x_h + columns[None, None] * x_w
        moved = g * tl.load(at, mask=inside, other=0).to(tl.float32)
        part = at_w * b + image
        at = d_row + (part * c + channels[:, None]) * h + rows[None]
        found = tl.sum(moved * t[:, None], axis=2)
        tl.store(at, found, mask=in_c[:, None] & in_h[None])
        part = tile % tiles_h * b + image
        at = d_column + (part * c + channels[:, None]) * w + columns[None]
        found = tl.sum(moved * s[:, :, None], axis=1)
        tl.store(at, found, mask=in_c[:, None] & in_w[None])
    if wants_x:
        at = d_x + image * d_b + channels[:, None, None] * d_c
        at += rows[None, :, None] * d_h + columns[None, None] * d_w
        tl.store(at, g * s[:, :, None] * t[:, None], mask=inside)


@triton.jit
@no_type_check
def _add(found, out, part, count, total, block: tl.constexpr):
    """The sum of `count` runs of `total` numbers, for a part of a run."""
    place, inside = places(part, block, total)
    added = tl.zeros((block,), tl.float32)
    at = found + place
    for _ in range(count):
        added += tl.load(at, mask=inside, other=0)
        at += total
    tl.store(out + place, added, mask=inside)


@built("tiles_h", "tiles_w")
@no_type_check
def _join(
    across, down, d_row, d_column, tiles_w, tiles_h, all_rows, all_columns, wide, high,
    block: tl.constexpr,
):  # fmt: skip
    part, _, _ = program(wide, high)
    _add(across, d_row, part, tiles_w, all_rows, block)
    _add(down, d_column, part, tiles_h, all_columns, block)


class _AxisGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, columns: Tensor, lean: Plain) -> Tensor:
        ctx.lean = lean
        ctx.save_for_backward(x, rows, columns)
        grid, blocks = _cut(x)
        out, sizes = torch.empty_like(x), (*x.shape[1:], _tall(x))
        maps = (x, *x.stride(), rows.contiguous(), columns.contiguous(), out, *out.stride())
        launch(_forward, grid, *maps, *sizes, **blocks)
        return out

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("axis_gate", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, rows, columns = ctx.saved_tensors
        wants_x, wants_rows, wants_columns, _ = ctx.needs_input_grad
        grid, blocks = _cut(x)
        d_x = torch.empty_like(x)
        d_rows, d_columns = (z.new_empty(z.shape) for z in (rows, columns))
        across = x.new_empty(grid[1], *rows.shape, dtype=torch.float32)
        down = x.new_empty(_tall(x), *columns.shape, dtype=torch.float32)
        wants_gates = wants_rows or wants_columns
        launch(
            _backward, grid, grad, *grad.stride(), x, *x.stride(), rows.contiguous(),
            columns.contiguous(), d_x, *d_x.stride(), across, down, *x.shape, _tall(x),
            wants_x=wants_x, wants_gates=wants_gates, **blocks,
        )  # fmt: skip
        if wants_gates:
            launch(
                _join, (parts(max(rows.numel(), columns.numel()), ADDED), 1, 1), across, down,
                d_rows, d_columns, len(across), len(down), rows.numel(), columns.numel(),
                block=ADDED,
            )  # fmt: skip
        return (
            d_x if wants_x else None,
            d_rows if wants_rows else None,
            d_columns if wants_columns else None,
        )


def _blocks(x: Tensor) -> tuple[int, int, int]:
    return CHANNELS_LAST if x.stride(1) < x.stride(3) else PLANE


def _tall(x: Tensor) -> int:
    """How many tiles stand on each other."""
    return parts(x.shape[2], _blocks(x)[1])


def _cut(x: Tensor) -> tuple[tuple[int, int, int], dict[str, int]]:
    """The grid over (rows and channels, columns, images), and the blocks of a program."""
    (b, c, _, w), (channels, rows, columns) = x.shape, _blocks(x)
    grid = (_tall(x) * parts(c, channels), parts(w, columns), b)
    return grid, {"block_c": channels, "block_h": rows, "block_w": columns}


apply = _AxisGate.apply
