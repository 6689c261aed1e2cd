"""Blur by a Gaussian; pixels without data spread nothing.

    g_i = exp(-i^2 / 2 sigma^2),  |i| <= 3 sigma,     blurred = (g * v image) / (g * v)

with v = 1 where there is data, along rows and then along columns.
"""

import math

import torch
from jaxtyping import Bool, Float32, Num, Shaped
from torch import Tensor


def blurred(
    image: Num[Tensor, "c h w"], sigma: float, missing: Bool[Tensor, "h w"] | None = None
) -> Shaped[Tensor, "c h w"]:
    """The blurred picture; 8 bits stay 8 bits, all else is float32."""
    steps = torch.arange(-math.ceil(3 * sigma), math.ceil(3 * sigma) + 1)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2).tolist()
    values = image.float()
    _, height, width = values.shape
    if missing is None:
        known = _along(torch.ones(1, height, 1), weights, 1) * _along(
            torch.ones(1, 1, width), weights, 2
        )
        return as_before(_spread(values, weights) / known, image.dtype)
    known = _spread((~missing).float()[None], weights)
    mixed = _spread(values.masked_fill(missing, 0.0), weights) / known.clamp(min=1e-6)
    return as_before(torch.where(missing, values, mixed), image.dtype)


def _spread(values: Float32[Tensor, "c h w"], weights: list[float]) -> Float32[Tensor, "c h w"]:
    return _along(_along(values, weights, 1), weights, 2)


def _along(
    values: Float32[Tensor, "c h w"], weights: list[float], axis: int
) -> Float32[Tensor, "c h w"]:
    """The weighted sum of neighbours along an axis, 0 beyond the ends."""
    size, radius = values.shape[axis], len(weights) // 2
    total = torch.zeros_like(values)
    for step, weight in zip(range(-radius, radius + 1), weights, strict=True):
        if abs(step) < size:
            length = size - abs(step)
            part = values.narrow(axis, max(0, step), length)
            total.narrow(axis, max(0, -step), length).add_(part, alpha=weight)
    return total


def as_before(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values as whole numbers of 8 bits where the picture had such; else as they are."""
    if dtype != torch.uint8 or values.dtype == dtype:
        return values
    return values.round().clamp(0, 255).to(torch.uint8)
