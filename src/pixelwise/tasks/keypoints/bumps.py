"""Gaussian bumps, as the product of one along each axis.

T(y, x) = exp(-(y - c_y)^2 / (2 sigma^2)) exp(-(x - c_x)^2 / (2 sigma^2))
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Drawn = tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]
"""Maps, and the weight of each point."""


def numbers(like: Tensor, count: int) -> Float[Tensor, " count"]:
    """0, 1 .. count - 1."""
    return torch.arange(count, dtype=like.dtype, device=like.device)


def bump(centre: Float[Tensor, "b k"], count: int, sigma: float) -> Float[Tensor, "b k count"]:
    """A Gaussian of height 1 along one axis."""
    return torch.exp(-((numbers(centre, count) - centre[..., None]) ** 2) / (2 * sigma**2))


def product(
    along_y: Float[Tensor, "b k h"], along_x: Float[Tensor, "b k w"], drawn: Bool[Tensor, "b k"]
) -> Float[Tensor, "b k h w"]:
    """The maps, zero where a point is not drawn."""
    maps = along_y[..., :, None] * along_x[..., None, :]
    return torch.where(drawn[..., None, None], maps, 0)
