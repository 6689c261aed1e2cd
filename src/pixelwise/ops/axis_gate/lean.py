"""The gated map in blocks; g * x stays in the cache and is reduced there along both axes."""

from typing import Any

import torch
from torch import Tensor

from pixelwise.ops.axis_gate.plain import again
from pixelwise.ops.running.backward import Gradients, hand_over, twice_differentiable
from pixelwise.ops.running.blocks import plane_blocks
from pixelwise.ops.running.precision import statistics_dtype


class AxisGate(torch.autograd.Function):
    """The gated map of map, row gates and column gates."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Block by block."""
        ctx.save_for_backward(x, rows, columns)
        out = torch.empty_like(x)
        for block in plane_blocks(x):
            torch.mul(x[block], columns[block][:, :, None, :], out=out[block])
            out[block].mul_(rows[block][:, :, :, None])
        return out

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """All three gradients in one pass."""
        x, rows, columns = ctx.saved_tensors
        wants_x, wants_rows, wants_columns = ctx.needs_input_grad
        kind = statistics_dtype(x)
        d_x = torch.empty_like(x) if wants_x else None
        d_rows = torch.empty_like(rows) if wants_rows else None
        d_columns = torch.empty_like(columns) if wants_columns else None
        for block in plane_blocks(x):
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
