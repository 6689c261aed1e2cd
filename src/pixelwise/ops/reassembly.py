"""Reassemble a map: each pixel of a larger one is a weighted sum around where it lies in it.

For a map x of h x w pixels, weights of H x W, and windows of k x k pixels, r = (k - 1) / 2,

    y_YX = sum_uv w_uvYX x(i_Y + u - r, j_X + v - r)    i_Y = floor((Y + 1/2) h / H)

and j_X likewise. Beyond its border x is zero, or mirrored. Where H / h and W / w are whole numbers,
tap (u, v) is a slice of the map whose pixels are repeated, and no index is read.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def reference(
    x: Float[Tensor, "b c h w"], weights: Float[Tensor, "b m t i j"], mirror: bool
) -> Float[Tensor, "b c i j"]:
    """Tap by tap, as the equation says; channels in groups that share weights."""
    side = _side(weights)
    padded = _padded(x, side // 2, mirror)
    rows, columns = centres(x, weights.shape[3:])
    y = torch.zeros_like(_grouped(weights[:, :, 0], x))
    for tap in range(side**2):
        u, v = tap // side, tap % side  # divmod cannot be traced
        seen = padded.index_select(2, rows + u).index_select(3, columns + v)
        y = y + torch.unflatten(seen, 1, (weights.shape[1], -1)) * weights[:, :, tap, None]
    return y.flatten(1, 2)


def reassembled(
    x: Float[Tensor, "b c h w"], weights: Float[Tensor, "b m t i j"], *, mirror: bool = False
) -> Float[Tensor, "b c i j"]:
    """The map of the weights' size; half types are summed in float32, and come back.

    `t` is the square of an odd number: the window's pixels, row by row.
    """
    with full_precision(x):
        kind = statistics_dtype(x)
        wide, weights = x.to(kind), weights.to(kind)
        if choice.form("reassembly", x) in ("plain", "traced"):
            return reference(wide, weights, mirror).to(x.dtype)
        found: Tensor = _Reassembled.apply(wide, weights, mirror)
        return found.to(x.dtype)


def _side(weights: Tensor) -> int:
    return round(weights.shape[2] ** 0.5)


def _grouped(weights: Tensor, x: Tensor) -> Tensor:
    """One of the weights for each channel: (b, g, c / g, i, j)."""
    groups = weights.shape[1]
    return weights[:, :, None].expand(-1, -1, x.shape[1] // groups, -1, -1)


def centres(x: Tensor, size: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """The row and the column of x where each of those of a larger map lies."""
    rows, columns = (
        (2 * torch.arange(many, device=x.device) + 1) * few // (2 * many)
        for many, few in zip(size, x.shape[2:], strict=True)
    )
    return rows, columns


def _mirrored(side: Any, reach: int, like: Tensor) -> Tensor:
    """Which row each row of the padded map is; one that is mirrored beyond both ends, the last."""
    place = torch.arange(side + 2 * reach, device=like.device) - reach
    return (side - 1 - (side - 1 - place.abs()).abs()).clamp(min=0)


def _padded(x: Tensor, reach: int, mirror: bool) -> Tensor:
    if not mirror:
        return F.pad(x, (reach,) * 4)
    for axis in (2, 3):
        x = x.index_select(axis, _mirrored(x.shape[axis], reach, x))
    return x


class _Taps:
    """What the taps read of a map, one at a time, and the way back of their gradients."""

    def __init__(self, x: Tensor, weights: Tensor, mirror: bool) -> None:
        self.x, self.mirror, self.side = x, mirror, _side(weights)
        self.size = weights.shape[3:]
        padded = _padded(x, self.side // 2, mirror)
        whole = [many % few == 0 for many, few in zip(self.size, x.shape[2:], strict=True)]
        self.times = [m // f for m, f in zip(self.size, x.shape[2:], strict=True)]
        self.sliced = all(whole)
        self.rows, self.columns = centres(x, weights.shape[3:])
        if self.sliced:
            padded = padded.repeat_interleave(self.times[0], 2)
            padded = padded.repeat_interleave(self.times[1], 3)
        self.wide = padded

    def each(self) -> Iterator[tuple[int, int, int]]:
        for tap in range(self.side**2):
            yield tap, *divmod(tap, self.side)

    def _slice(self, wide: Tensor, u: int, v: int) -> Tensor:
        (height, width), (down, across) = self.size, self.times
        return wide[:, :, u * down : u * down + height, v * across : v * across + width]

    def read(self, u: int, v: int) -> Tensor:
        if self.sliced:
            return self._slice(self.wide, u, v)
        return self.wide.index_select(2, self.rows + u).index_select(3, self.columns + v)

    def add(self, gradient: Tensor, u: int, v: int, out: Tensor) -> None:
        """Add the gradient of `read(u, v)` to that of `wide`."""
        if self.sliced:
            self._slice(out, u, v).add_(gradient)
            return
        part = gradient.new_zeros(*gradient.shape[:3], out.shape[3])
        out.index_add_(2, self.rows + u, part.index_add_(3, self.columns + v, gradient))

    def of_map(self, wide: Tensor) -> Tensor:
        """The gradient of the map from that of `wide`."""
        reach = self.side // 2
        if self.sliced:
            wide = torch.unflatten(wide, 2, (-1, self.times[0])).sum(3)
            wide = torch.unflatten(wide, 3, (-1, self.times[1])).sum(4)
        if not self.mirror:
            return wide[:, :, reach : wide.shape[2] - reach, reach : wide.shape[3] - reach]
        for axis in (2, 3):
            side = self.x.shape[axis]
            shape = [*wide.shape[:axis], side, *wide.shape[axis + 1 :]]
            index = _mirrored(side, reach, wide)
            wide = wide.new_zeros(shape).index_add_(axis, index, wide)
        return wide


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return lambda x, weights: reference(x, weights, ctx.mirror), ctx.saved_tensors


class _Reassembled(torch.autograd.Function):
    """Backward reads the taps again, so that none of them is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, mirror: bool) -> Tensor:
        ctx.save_for_backward(x, weights)
        ctx.mirror = mirror
        taps, groups = _Taps(x, weights, mirror), weights.shape[1]
        y = x.new_zeros(len(x), groups, x.shape[1] // groups, *taps.size)
        for tap, u, v in taps.each():
            y.addcmul_(torch.unflatten(taps.read(u, v), 1, (groups, -1)), weights[:, :, tap, None])
        return y.flatten(1, 2)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, weights = ctx.saved_tensors
        taps, groups = _Taps(x, weights, ctx.mirror), weights.shape[1]
        grad = torch.unflatten(grad, 1, (groups, -1))
        d_weights, d_wide = torch.empty_like(weights), torch.zeros_like(taps.wide)
        for tap, u, v in taps.each():
            if ctx.needs_input_grad[1]:
                seen = torch.unflatten(taps.read(u, v), 1, (groups, -1))
                torch.sum(grad * seen, 2, out=d_weights[:, :, tap])
            if ctx.needs_input_grad[0]:
                taps.add((grad * weights[:, :, tap, None]).flatten(1, 2), u, v, d_wide)
        return taps.of_map(d_wide), d_weights, None
