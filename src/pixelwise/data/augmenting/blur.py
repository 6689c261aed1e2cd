"""Blur by a Gaussian; pixels without data spread nothing.

    g_i = exp(-i^2 / 2 sigma^2),  |i| <= 3 sigma,     blurred = (g * v image) / (g * v)

with v = 1 where there is data, along rows and then along columns.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Num, Shaped
from torch import Tensor


def blurred(
    image: Num[Tensor, "c h w"], sigma: float, missing: Bool[Tensor, "h w"] | None = None
) -> Shaped[Tensor, "c h w"]:
    """The blurred picture; 8 bits stay 8 bits, all else is float32."""
    radius = math.ceil(3 * sigma)
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    known = torch.ones(1, *image.shape[1:])
    if missing is not None:
        known[:, missing] = 0.0
    values = torch.cat([image.float() * known, known])[:, None]
    values = F.conv2d(values, weights[None, None, :, None], padding=(radius, 0))
    values = F.conv2d(values, weights[None, None, None, :], padding=(0, radius))[:, 0]
    mixed = values[:-1] / values[-1:].clamp(min=1e-6)
    if missing is not None:
        mixed = torch.where(missing, image.float(), mixed)
    return as_before(mixed, image.dtype)


def as_before(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values as whole numbers of 8 bits where the picture had such; else as they are."""
    if dtype != torch.uint8:
        return values
    return values.round().clamp(0, 255).to(torch.uint8)
