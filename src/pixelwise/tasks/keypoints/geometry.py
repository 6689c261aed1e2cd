"""Where a box of a picture lies in a crop: one matrix for the picture and for its points.

Points are (x, y) as columns (x, y, 1), pixels as in the picture, the centre of the first at
(0.5, 0.5), so that a box, its crop and every heat map of it cover the same ground. With the box
(left, top, width, height) around c, a crop of W x H pixels, and the angle a,

    p' = k R (p - c) + (W, H) / 2,   R = [[cos a, -sin a], [sin a, cos a]],
    k = min(W / width, H / height) / margin

the same zoom k on both axes: nothing is sheared, and the whole box is in the crop. A mirror is
x' = W - x exactly, and left and right points change places.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from pixelwise.errors import InputError

Matrix = Float64[ndarray, "2 3"]


def crop_matrix(
    box: Sequence[float],
    size: tuple[int, int],
    *,
    margin: float = 1.25,
    rotation: float = 0.0,
    mirror: bool = False,
) -> Matrix:
    """The matrix from pixels of the picture to pixels of the crop.

    Args:
        box: (left, top, width, height) in pixels.
        size: Height and width of the crop.
        margin: How much larger than the box the part of the picture is.
        rotation: Degrees, clockwise as seen.
        mirror: Mirror the crop, left to right; swap its points by `mirrored_points`.

    Raises:
        InputError: A box without area, or a margin that is not above 0.
    """
    left, top, width, height = box
    if not all(map(math.isfinite, box)) or min(width, height) <= 0:
        raise InputError(f"box={tuple(box)}: must have an area; correct the label or leave it out")
    if not 0 < margin < math.inf:
        raise InputError(f"margin={margin}: must be above 0; 1.25 is usual")
    rows, columns = size
    zoom = min(columns / width, rows / height) / margin
    angle = math.radians(rotation)
    turn = zoom * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    centre = np.array([left + width / 2, top + height / 2])
    matrix = np.column_stack([turn, np.array([columns, rows]) / 2 - turn @ centre])
    return mirror_matrix(columns) @ np.vstack([matrix, [0, 0, 1]]) if mirror else matrix


def mirror_matrix(width: int | float) -> Matrix:
    """The mirror of a picture of this width."""
    return np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]])


def inverse(matrix: Matrix) -> Matrix:
    """From the crop back to the picture."""
    back = np.linalg.inv(matrix[:, :2])
    return np.column_stack([back, -back @ matrix[:, 2]])


def transformed(points: Float[ndarray, "*n 2"], matrix: Matrix) -> Float64[ndarray, "*n 2"]:
    """Points through a matrix; missing ones (NaN) stay missing."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def mirrored_points(
    points: Float[ndarray, "*n k 2"], width: int | float, partners: Sequence[int]
) -> Float64[ndarray, "*n k 2"]:
    """Points of the mirrored picture; `partners` is `Skeleton.mirrored()`."""
    return transformed(points, mirror_matrix(width))[..., list(partners), :]
