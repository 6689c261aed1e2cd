"""Bilinear resizing, as numbers: where a pixel lies, and what it takes.

Pixel i of n' samples a position of n; a pixel that lies between two takes from each of them one
minus its distance.

    i (n - 1) / (n' - 1)          where the corners are kept
    (i + 1/2) n / n' - 1/2        else, but within the map

`torch.nn.functional.interpolate` does it.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import SymInt, Tensor

Side = int | SymInt
"""A number of rows or columns, which `torch.export` may leave open."""
PRODUCTS_UP_TO = 128
"""Rows or columns of a map; what a product takes for a pixel grows with them."""


def neighbours(place: int, side: int, other: Side, *, corners: Side = 1) -> tuple[int, int]:
    """The pixels of a map of `other` next to a pixel of one of `side`; one twice if right on it."""
    kept: Any = corners
    given: Any = other
    above = kept * place * (given - 1)
    above += (1 - kept) * torch.sym_max(0, (2 * place + 1) * given - side)
    below = kept * torch.sym_max(1, side - 1) + (1 - kept) * 2 * side
    whole, part = above // below, above % below  # divmod cannot be traced
    return whole, torch.sym_min(whole + torch.sym_min(part, 1), other - 1)


def shares(
    side: Side, other: Side, like: Tensor, *, corners: Side = 1
) -> Float[Tensor, "other side"]:
    """What each of `other` pixels takes from each of `side`, in the type of `like`."""
    pixels = torch.arange(side, dtype=like.dtype, device=like.device)
    places = torch.arange(other, dtype=like.dtype, device=like.device)
    ratio: Any = side / other
    keep: Any = corners
    kept = places * ((side - 1) / torch.sym_max(1, other - 1))
    middle = (places + 0.5) * ratio - 0.5
    position = (kept * keep + middle * (1 - keep)).clamp(min=0).minimum(pixels[-1])
    return (1 - (position[:, None] - pixels).abs()).clamp(min=0)


def resized(
    x: Float[Tensor, "b c h w"], size: Sequence[Side], corners: Side
) -> Float[Tensor, "b c i j"]:
    """`x` at another size; `corners` says whether they are kept (1) or not (0)."""
    compiling = torch.compiler.is_compiling()
    if isinstance(corners, bool) if compiling else not _small(x, size):
        sides: list[Any] = list(size)
        return F.interpolate(x, sides, mode="bilinear", align_corners=bool(corners))
    # Where the size itself decides, a branch would bind the program to it.
    lines = zip(x.shape[2:], size, strict=True)
    down, across = (shares(side, other, x, corners=corners) for side, other in lines)
    return down @ x @ across.mT


def _small(x: Tensor, size: Sequence[Side]) -> bool:
    """Whether products with the shares take less than torch's resizing on a CPU.

    Half of 64x128 pixels: 7 ms in place of 22, since torch brings the channels last and back. Up
    again they take the same.
    """
    shrinks = size[0] * size[1] < x.shape[2] * x.shape[3]
    exact = x.device.type == "cpu" and x.itemsize >= 4  # shares in half types are not exact enough
    return exact and bool(shrinks) and max(x.shape[2:]) <= PRODUCTS_UP_TO
