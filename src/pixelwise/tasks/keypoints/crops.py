"""The part of a picture that a network sees, and where its points lie there.

A figure's box, or the whole picture, goes through one matrix into a crop of fixed size; around it
the crop holds the mean of the training pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from pixelwise.tasks.keypoints.geometry import Matrix, crop_matrix, inverse, transformed
from pixelwise.tasks.keypoints.warping import warp


@dataclass(frozen=True)
class PointTarget:
    """The truth of one figure, as one tensor (k + 4, 3) that a loader can hand over.

    Args:
        points: (x, y) in pixels of the picture; NaN where missing.
        visible: 0 missing, 1 hidden, 2 seen.
        matrix: From the picture to the crop.
        area: Of the figure in square pixels; NaN where not known.
        box: Left, top, width and height; the whole picture where it has no box.
    """

    points: Float64[Tensor, "k 2"]
    visible: Float64[Tensor, " k"]
    matrix: Matrix
    area: float
    box: tuple[float, float, float, float]

    def packed(self) -> Float64[Tensor, "rows 3"]:
        """Points and visibility, the two rows of the matrix, and two of area and box."""
        rows = [[self.area, *self.box[:2]], [0.0, *self.box[2:]]]
        about = torch.tensor(rows, dtype=torch.float64)
        points = torch.cat([self.points, self.visible[:, None]], dim=1)
        return torch.cat([points, torch.from_numpy(np.ascontiguousarray(self.matrix)), about])

    @classmethod
    def read(cls, packed: Float64[Tensor, "rows 3"]) -> "PointTarget":
        """What `packed` gave."""
        (area, left, top), (_, width, height) = packed[-2:].tolist()
        points, matrix = packed[:-4], packed[-4:-2].numpy()
        return cls(points[:, :2], points[:, 2], matrix, area, (left, top, width, height))

    def in_picture(self, answer: Float[Tensor, "k 3"]) -> Float64[np.ndarray, "k 2"]:
        """Places in the crop, in pixels of the picture."""
        return transformed(answer[:, :2].double().numpy(), inverse(self.matrix))

    @property
    def labelled(self) -> np.ndarray:
        """Which points have a place."""
        found: np.ndarray = (self.visible > 0).numpy()
        return found


def whole(size: Sequence[int]) -> tuple[float, float, float, float]:
    """The box of a whole picture of so many rows and columns."""
    return 0.0, 0.0, float(size[1]), float(size[0])


def margin_of(box: tuple[float, ...], image: Tensor, margin: float) -> float:
    """`margin` around a figure's box; none around a whole picture."""
    return 1.0 if tuple(box) == whole(image.shape[-2:]) else margin


def cut(image: Float[Tensor, "c h w"], matrix: Matrix, size: tuple[int, int]) -> Tensor:
    """The crop; a picture that is shrunk much is averaged first, so that nothing flickers."""
    zoom = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    factor = int(0.75 / zoom) if zoom > 0 else 1
    factor = max(1, min(factor, *image.shape[-2:]))
    if factor > 1:
        image = F.avg_pool2d(image[None], factor, ceil_mode=True, count_include_pad=False)[0]
        matrix = np.column_stack([matrix[:, :2] * factor, matrix[:, 2]])
    return warp(image, matrix, size)


def view(
    image: Float[Tensor, "c h w"],
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    margin: float,
    rotation: float = 0.0,
    mirror: bool = False,
) -> tuple[Tensor, Matrix]:
    """The crop of a box, and the matrix to it; see `crop_matrix`."""
    matrix = crop_matrix(
        box, size, margin=margin_of(box, image, margin), rotation=rotation, mirror=mirror
    )
    return cut(image, matrix, size), matrix


def in_crop(
    points: Float64[np.ndarray, "k 2"], matrix: Matrix, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Points in pixels of the crop, and which of them lie in it."""
    placed = transformed(points, matrix)
    height, width = size
    x, y = placed.T
    return placed, (x >= 0) & (x < width) & (y >= 0) & (y < height)
