"""A convolution of every channel by itself that keeps the size, with taps d pixels apart.

    y_cij = b_c + sum_pq W_cpq x_(c, i + d p, j + d q)      0 outside of the map

On CPUs torch takes about half the time for it in float32 where the channels of a pixel lie together
in memory, and has no quick form for squares of taps that are apart. So the lean form lays the map
out so, and gathers pixels that are d rows and columns apart into d^2 maps of their own: a tap of
one meets none of another, and inside of each the taps are neighbours. What is added to make d
divide the size is 0, as the outside is. Kernels of one row or column do not gain by it.

In bfloat16 it must not: with channels last, torch 2.15 never returns from a kernel of one row and
15 or more columns. `laid_out` is for who calls convolutions as they are.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable


def reference(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "c 1 p q"],
    bias: Float[Tensor, " c"] | None,
    dilation: int = 1,
) -> Float[Tensor, "b c h w"]:
    """The convolution as torch has it; the sides of the kernel are odd."""
    padding = [dilation * (side // 2) for side in weight.shape[2:]]
    return F.conv2d(x, weight, bias, padding=padding, dilation=dilation, groups=len(weight))


def depthwise(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "c 1 p q"],
    bias: Float[Tensor, " c"] | None,
    dilation: int = 1,
) -> Float[Tensor, "b c h w"]:
    """Convolve every channel by itself; the lean form gives its result with channels last."""
    if choice.form("depthwise", x) != "lean":
        return reference(laid_out(x), weight, bias, dilation)
    if dilation == 1 or 1 in weight.shape[2:]:
        return _convolved(x, weight, bias, dilation)
    batch, channels, height, width = x.shape
    pixels = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, -width % dilation, 0, -height % dilation))
    lines = torch.unflatten(pixels, 1, (-1, dilation))
    grid = torch.unflatten(lines, 3, (-1, dilation))  # (b, i, d, j, d, c)
    apart = grid.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)  # (b d d, i, j, c)
    seen = _convolved(apart.permute(0, 3, 1, 2), weight, bias).permute(0, 2, 3, 1)
    grid = torch.unflatten(seen, 0, (batch, dilation, dilation)).permute(0, 3, 1, 4, 2, 5)
    whole = grid.reshape(batch, *pixels.shape[1:3], channels)
    return whole[:, :height, :width].permute(0, 3, 1, 2)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int = 1) -> Tensor:
    """The convolution with channels last; neighbouring taps, or a row or column of them."""
    x = _last(x)
    if weight.shape[2:] == (3, 3) or not torch.is_grad_enabled():  # torch is as quick
        return reference(x, weight, bias, dilation)
    y: Tensor = _Depthwise.apply(x, weight, bias, dilation)
    return y


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return lambda x, w, b: reference(x, w, b, ctx.dilation), ctx.saved_tensors


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.dilation = dilation
        return reference(x, weight, bias, dilation)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, weight, _ = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        grad = _last(grad)
        return (
            reference(grad, weight.flip(2, 3), None, ctx.dilation) if of_x else None,
            _of_weight(x, grad, weight, ctx.dilation) if of_weight else None,
            grad.sum(dim=(0, 2, 3)) if of_bias else None,
            None,
        )


def _of_weight(x: Tensor, grad: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """The gradient of the kernel, from those of columns."""
    rows, columns = weight.shape[2:]
    if columns == 1:
        return _of_column(_rows_apart(x, dilation), _rows_apart(grad, dilation), rows)
    if rows == 1:
        lines = _columns_apart(x, dilation), _columns_apart(grad, dilation)
        return _of_column(*lines, columns).mT
    if rows < columns:
        return _of_weight(x.mT, grad.mT, weight.mT, dilation).mT
    side = columns // 2  # their taps are neighbours
    wide = F.pad(x, (side, side))
    moved = (wide[:, :, :, at : at + x.shape[3]] for at in range(columns))
    return torch.cat([_of_column(part, grad, rows) for part in moved], dim=3)


def _of_column(x: Tensor, grad: Tensor, rows: int) -> Tensor:
    channels = x.shape[1]
    weight = x.new_empty(channels, 1, rows, 1)
    found: Tensor = torch.ops.aten.convolution_backward(
        _last(grad), _last(x), weight, None, [1, 1], [rows // 2, 0], [1, 1], False,
        [0, 0], channels, [False, True, False],
    )[1]  # fmt: skip
    return found


def _rows_apart(x: Tensor, step: int) -> Tensor:
    """Rows that are `step` apart as one column: a view where `step` divides them."""
    if step == 1:
        return x
    pixels = F.pad(x, (0, 0, 0, -x.shape[2] % step)).permute(0, 2, 3, 1)
    lines = torch.unflatten(pixels, 1, (-1, step))
    return lines.flatten(2, 3).permute(0, 3, 1, 2)


def _columns_apart(x: Tensor, step: int) -> Tensor:
    """The same of columns, each row by itself."""
    pixels = F.pad(x, (0, -x.shape[3] % step)).permute(0, 2, 3, 1)
    lines = torch.unflatten(pixels.flatten(0, 1), 1, (-1, step))
    return lines.permute(0, 3, 1, 2)


def quickly_laid_out(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The map as `depthwise` takes it without a copy; torch pools it quickly as well."""
    return _last(x) if choice.form("depthwise", x) == "lean" else laid_out(x)


def laid_out(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The map, not with channels last where torch then hangs."""
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return x.contiguous() if x.device.type == "cpu" and kind == torch.bfloat16 else x
