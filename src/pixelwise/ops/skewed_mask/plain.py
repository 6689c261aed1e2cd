"""Attention whose logits are masks that every pixel draws around itself.

For guides a_i, values z_j and mask weights W of p x q offsets (p and q odd),

    L_ji = W[j - i] . a_i   if the offset j - i is within the mask, else 0
    collect:     o_i = sum_j z_j softmax_j(L_ji)     i gathers, by its own mask
    distribute:  o_j = sum_i z_i softmax_i(L_ji)     i hands out, by its own mask

The zeros outside of the mask take part in the softmax. Without the softmax, L itself weighs.
Coordinates of i and j are rows and columns of the map.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain
from pixelwise.ops.running.precision import statistics_dtype


def expand_mask(
    mask: Float[Tensor, "b m h w"], size: tuple[int, int], collect: bool
) -> Float[Tensor, "b n n"]:
    """L of all pairs: rows are sources, columns outputs. `size` is (p, q), m is p * q."""
    (rows, columns), (height, width) = size, mask.shape[2:]
    place = torch.arange(height * width, device=mask.device)
    row = place // width
    column = place - row * width  # the remainder by a free number has no ONNX form
    down = row[:, None] - row + (rows - 1) // 2
    right = column[:, None] - column + (columns - 1) // 2
    inside = (down >= 0) & (down < rows) & (right >= 0) & (right < columns)
    index = torch.where(inside, down * columns + right, 0)
    flat = mask.flatten(2)
    logits = flat.gather(1, index.expand(mask.shape[0], -1, -1)) * inside.to(mask.dtype)
    return logits if collect else logits.mT


def reference(
    weight: Float[Tensor, "p q d"],
    guide: Float[Tensor, "b d h w"],
    value: Float[Tensor, "b c h w"],
    *,
    collect: bool,
    softmax: bool = True,
) -> Float[Tensor, "b c h w"]:
    """Attention as the equations say."""
    kind = statistics_dtype(value)
    mask = torch.einsum("md,bdhw->bmhw", weight.flatten(0, 1).to(kind), guide.to(kind))
    logits = expand_mask(mask, (weight.shape[0], weight.shape[1]), collect)
    weights = logits.softmax(dim=1) if softmax else logits
    return torch.bmm(value.flatten(2).to(kind), weights).view(value.shape).to(value.dtype)


def pixel_logits(
    weight: Float[Tensor, "p q d"],
    guide: Float[Tensor, "b d h w"],
    place: tuple[int, int],
    *,
    collect: bool,
) -> Float[Tensor, "b h w"]:
    """The logits of all sources for the output pixel `place` (row, column) alone."""
    sides, size = guide.shape[2:], weight.shape[:2]
    if torch.compiler.is_compiling():
        return _traced_logits(weight, guide, place, collect)
    near, within = zip(*map(mask_window, place, sides, size), strict=True)
    if collect:
        found = torch.einsum("pqd,bd->bpq", weight[within], guide[:, :, *place])
    else:
        turned = weight.flip(0, 1)[within]
        found = torch.einsum("pqd,bdpq->bpq", turned, guide[:, :, *near])
    (top, left), (height, width) = near, sides
    return F.pad(found, (left.start, width - left.stop, top.start, height - top.stop))


def _traced_logits(
    weight: Float[Tensor, "p q d"],
    guide: Float[Tensor, "b d h w"],
    place: tuple[int, int],
    collect: bool,
) -> Float[Tensor, "b h w"]:
    """The same for a place that may be free: by indices, since slices of a free length may not."""
    row, column = place
    mask = weight if collect else weight.flip(0, 1)
    inside = []
    for axis, middle in enumerate(place):
        side, most = guide.shape[2 + axis], weight.shape[axis]
        index = torch.arange(side, device=guide.device) - middle + (most - 1) // 2
        inside.append((index >= 0) & (index < most))
        mask = mask.index_select(axis, index.clamp(0, most - 1))
    if collect:
        found = torch.einsum("pqd,bd->bpq", mask, guide.select(2, row).select(2, column))
    else:
        found = torch.einsum("pqd,bdpq->bpq", mask, guide)
    return found * (inside[0][:, None] & inside[1]).to(found.dtype)


def mask_window(middle: int, side: int, mask: int) -> tuple[slice, slice]:
    """The part of a line of `side` pixels under a mask around `middle`, and that of the mask."""
    half = (mask - 1) // 2
    near = slice(max(0, middle - half), min(side, middle + half + 1))
    return near, slice(near.start - middle + half, near.stop - middle + half)


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    collect, softmax, *_ = ctx.options
    return functools.partial(reference, collect=collect, softmax=softmax), ctx.saved_tensors[:3]
