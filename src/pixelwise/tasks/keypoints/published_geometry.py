"""The matrices of published code from a box to its crop, whole numbers at pixel centres.

A box is its centre c and its scale s (sides / 200); the crop has D = (width, height) pixels. With
the angle a and R = [[cos a, sin a], [-sin a, cos a]],

    simple_baseline  p' = k R (p - c) + D / 2,        k = D_w / (200 s_w)
    dark             p' = k R (p - c) + (D - 1) / 2,  k = (D_w - 1) / (200 s_w - 1)
    udp              p' = k R^T (p - c) + (D - 1) / 2, k = (D - 1) / (200 s) per axis

The height of the scale counts for "udp" alone, whose rotation is the other way round and shears
where the two zooms differ. Results are brought back as if the crop had not been rotated.

Source: Xiao et al. 2018, https://arxiv.org/abs/1804.06208; Zhang et al. 2020,
https://arxiv.org/abs/1910.06278; Huang et al. 2020, https://arxiv.org/abs/1911.07524.
Reference: github.com/microsoft/human-pose-estimation.pytorch, lib/utils/transforms.py (MIT);
github.com/ilovepose/DarkPose, likewise (Apache-2.0); github.com/HuangJunJie2017/UDP-Pose,
get_warp_matrix and transform_preds (Apache-2.0), where "simple_baseline" is the biased form.
Difference: the authors solve for the matrix from three points in float32, 4e-5 pixels off.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from pixelwise.checks import one_of
from pixelwise.tasks.keypoints.geometry import Matrix, inverse

GEOMETRIES = ("simple_baseline", "dark", "udp")


def published_matrix(
    centre: Sequence[float] | ndarray,
    scale: Sequence[float] | ndarray,
    size: tuple[int, int],
    *,
    geometry: str,
    rotation: float = 0.0,
) -> Matrix:
    """From the picture to the crop, whole numbers at pixel centres.

    Args:
        centre: (x, y) of the box.
        scale: Width and height of the box, divided by 200.
        size: Height and width of the crop.
        geometry: A name of `GEOMETRIES`.
        rotation: Degrees.

    Raises:
        InputError: An unknown geometry.
    """
    one_of(GEOMETRIES, geometry=geometry)
    crop = np.array([size[1], size[0]], dtype=np.float64)
    sides = 200 * np.asarray(scale, dtype=np.float64)
    angle = math.radians(rotation)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    if geometry == "simple_baseline":
        turn, middle = crop[0] / sides[0] * turn, crop / 2
    elif geometry == "dark":
        turn, middle = (crop[0] - 1) / (sides[0] - 1) * turn, (crop - 1) / 2
    else:
        turn, middle = ((crop - 1) / sides)[:, None] * turn.T, (crop - 1) / 2
    return np.column_stack([turn, middle - turn @ np.asarray(centre, dtype=np.float64)])


def published_return(
    centre: Sequence[float] | ndarray,
    scale: Sequence[float] | ndarray,
    size: tuple[int, int],
    *,
    geometry: str,
) -> Matrix:
    """From a crop or a heat map of `size` back to the picture, without rotation."""
    return inverse(published_matrix(centre, scale, size, geometry=geometry))


def in_halves(matrix: Matrix) -> Matrix:
    """The same matrix for points whose first pixel has its centre at (0.5, 0.5)."""
    return np.column_stack([matrix[:, :2], matrix[:, 2] + 0.5 - matrix[:, :2] @ [0.5, 0.5]])
