"""The means of a map along its rows and along its columns.

    r_ch = (1 / W) sum_w x_chw,   t_cw = (1 / H) sum_h x_chw

The map is handed on beside them, so that the gradient of whatever else uses it is added to here;
see `pooling`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, taken_over, twice_differentiable
from pixelwise.ops.running.blocks import plane_blocks
from pixelwise.ops.running.precision import full_precision

Means = tuple[Float[Tensor, "b c h"], Float[Tensor, "b c w"]]
MeansOfMap = tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h"], Float[Tensor, "b c w"]]


def reference(x: Float[Tensor, "b c h w"]) -> Means:
    """Both means as the equations say, in the type of x."""
    return x.mean(dim=3), x.mean(dim=2)


def axis_means(x: Float[Tensor, "b c h w"]) -> MeansOfMap:
    """The map to go on with, and both means."""
    with full_precision(x):
        if choice.form("axis_means", x) in ("plain", "traced"):
            return x, *reference(x)
        onward, rows, columns = _AxisMeans.apply(x)
        return onward, rows, columns


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return lambda x: (x, *reference(x)), ctx.saved_tensors


class _AxisMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(x)
        rows, columns = reference(x)
        return x, rows, columns

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor, d_rows: Tensor, d_columns: Tensor) -> Gradients:
        (x,) = ctx.saved_tensors
        d_rows, d_columns = d_rows / x.shape[3], d_columns / x.shape[2]
        d_x = grad if taken_over(grad) else grad.clone(memory_format=torch.preserve_format)
        for block in plane_blocks(x):
            d_x[block] += d_rows[block][:, :, :, None]
            d_x[block] += d_columns[block][:, :, None, :]
        return (d_x,)
