"""Bend smoothly: random displacements on a coarse grid, bicubic in between.

Source: Ronneberger, Fischer & Brox, "U-Net", 2015, section 3.1, https://arxiv.org/abs/1505.04597;
after Simard, Steinkraus & Platt, "Best practices for convolutional neural networks", 2003.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float64


def displacements(
    size: tuple[int, int], strength: float, spacing: float, rng: np.random.Generator
) -> Float64[np.ndarray, "2 h w"]:
    """How far each pixel comes from, along rows and columns, in pixels.

    Args:
        size: Height and width of the crop.
        strength: The farthest of a point of the grid; in between it can be a little more.
        spacing: Pixels between points of the grid.
        rng: Draws them, evenly from -strength to strength.
    """
    points = [max(2, round(side / spacing) + 1) for side in size]
    grid = torch.from_numpy(rng.uniform(-strength, strength, (1, 2, *points)))
    field: np.ndarray = F.interpolate(grid, size, mode="bicubic", align_corners=True)[0].numpy()
    return field
