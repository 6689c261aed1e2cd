"""Gate a map by its rows and by its columns.

    y_chw = x_chw s_ch t_cw

The lean form keeps g * x in blocks that stay in the cache and reduces it there along both axes.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import kernels
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.precision import (
    Gradients,
    full_precision,
    hand_over,
    statistics_dtype,
    twice_differentiable,
)


def reference(
    x: Float[Tensor, "b c h w"], rows: Float[Tensor, "b c h"], columns: Float[Tensor, "b c w"]
) -> Float[Tensor, "b c h w"]:
    """The gated map as the equation says."""
    return x * rows[:, :, :, None] * columns[:, :, None, :]


def axis_gate(
    x: Float[Tensor, "b c h w"], rows: Float[Tensor, "b c h"], columns: Float[Tensor, "b c w"]
) -> Float[Tensor, "b c h w"]:
    """Gate `x` by `rows` and `columns`, all of one type."""
    with full_precision(x):
        chosen = choice.form("axis_gate", x)
        if chosen in ("plain", "traced"):
            return reference(x, rows, columns)
        return kernels.either(chosen, "axis_gate", _AxisGate.apply)(x, rows, columns)


def again(ctx: Any) -> tuple[tuple[Tensor, ...], Gradients]:
    """The gated map by autograd's own operations, and what it comes from."""
    x, rows, columns = ctx.saved_tensors
    return (reference(x, rows, columns),), (x, rows, columns)


class _AxisGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(x, rows, columns)
        out = torch.empty_like(x)
        for block in map_blocks(x):
            torch.mul(x[block], columns[block][:, :, None, :], out=out[block])
            out[block].mul_(rows[block][:, :, :, None])
        return out

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, rows, columns = ctx.saved_tensors
        wants_x, wants_rows, wants_columns = ctx.needs_input_grad
        kind = statistics_dtype(x)
        d_x = torch.empty_like(x) if wants_x else None
        d_rows = torch.empty_like(rows) if wants_rows else None
        d_columns = torch.empty_like(columns) if wants_columns else None
        for block in map_blocks(x):
            row, column = rows[block][:, :, None, :], columns[block][:, :, None, :]
            if wants_rows or wants_columns:
                moved = grad[block].to(kind) * x[block]
                if d_rows is not None:
                    d_rows[block] = torch.matmul(moved, column.mT.to(kind))[..., 0]
                if d_columns is not None:
                    d_columns[block] = torch.matmul(row.to(kind), moved)[..., 0, :]
            if d_x is not None:
                torch.mul(grad[block], column, out=d_x[block])
                d_x[block].mul_(row.mT)
        return d_x if d_x is None else hand_over(d_x), d_rows, d_columns


def map_blocks(x: Float[Tensor, "b c h w"]) -> Iterator[tuple[slice, slice]]:
    """Blocks (image, channels) of a map; all channels of an image where those come last."""
    _, channels, height, width = x.shape
    channel_last = x.stride(1) < x.stride(3)
    for image in blocks.images(x):
        if channel_last:  # a run of channels would be scattered over memory
            yield image, slice(None)
        else:
            for run in blocks.spans(channels, height * width, blocks.PASS_BLOCK, x.device):
                yield image, run
