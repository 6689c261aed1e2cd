"""A picture through the matrix that its points go through.

With the matrix M from the picture to the crop and the centre p' of a pixel of the crop,

    crop(p') = bilinear(picture, M^-1 p'),   zero outside of the picture

`subpixels=32` rounds positions as OpenCV does, for networks that were trained behind it: with
(a, b, c) a row of M^-1 for whole numbers at pixel centres, in 1/32 of a pixel,

    X = floor((round(1024 (b y + c)) + 16 + round(1024 a x)) / 32)

Reference: OpenCV 5.0 warpAffine (Apache-2.0), through recorded numbers.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.geometry import Matrix, inverse

FINE = 1024
"""Steps per pixel of OpenCV's sums, before they are rounded to `subpixels`."""


def warp(
    picture: Float[Tensor, "c h w"],
    matrix: Matrix,
    size: tuple[int, int],
    *,
    subpixels: int | None = None,
) -> Float[Tensor, "c rows columns"]:
    """The crop of `size` (height, width) that `matrix` maps the picture to.

    Args:
        picture: Any channels.
        matrix: From pixels of the picture to those of the crop, first centres at (0.5, 0.5).
        size: Height and width of the crop.
        subpixels: Positions per pixel: 32 as in OpenCV; None: exact.

    Raises:
        InputError: A matrix without inverse.
    """
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-12:
        raise InputError(
            f"matrix={np.asarray(matrix).tolist()}: must have an inverse; correct the box"
        )
    back = inverse(matrix)
    back[:, 2] += back[:, :2] @ [0.5, 0.5] - 0.5  # whole numbers at pixel centres
    x, y = (_positions(row, size, subpixels) for row in back)
    column, row = np.floor(x), np.floor(y)
    right, below = (torch.from_numpy(part).to(picture) for part in (x - column, y - row))
    left, above = 1 - right, 1 - below
    places = (torch.from_numpy(part.astype(np.int64)).to(picture.device) for part in (column, row))
    column_at, row_at = places
    crop = _values(picture, column_at, row_at) * (above * left)
    crop += _values(picture, column_at + 1, row_at) * (above * right)
    crop += _values(picture, column_at, row_at + 1) * (below * left)
    crop += _values(picture, column_at + 1, row_at + 1) * (below * right)
    return crop


def _positions(row: np.ndarray, size: tuple[int, int], subpixels: int | None) -> np.ndarray:
    """Where the pixels of the crop come from, along one axis, within a pixel of any picture."""
    a, b, c = row
    y, x = np.mgrid[: size[0], : size[1]]
    if subpixels is None:
        found = a * x + b * y + c
    else:
        whole = np.rint(FINE * (b * y + c)) + np.rint(FINE * a * x)
        step = FINE // subpixels
        found = np.floor((whole + step // 2) / step) / subpixels
    return np.clip(found, -(2.0**31), 2.0**31)


def _values(picture: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    h, w = picture.shape[1:]
    inside = (columns >= 0) & (columns < w) & (rows >= 0) & (rows < h)
    found = picture[:, rows.clamp(0, h - 1), columns.clamp(0, w - 1)]
    return torch.where(inside, found, 0)
