"""Four pictures in the quarters of one crop, around a random centre.

Source: Bochkovskiy, Wang & Liao, "YOLOv4", 2020, https://arxiv.org/abs/2004.10934.
"""

from collections.abc import Sequence

import numpy as np

from pixelwise.data.augmenting.mixing import Crop


def tiled(crops: Sequence[Crop], rng: np.random.Generator) -> Crop:
    """The first of four crops with the others in three of its quarters, each at its own place.

    The centre lies in the middle half of the crop.
    """
    image, mask = (part.clone() for part in crops[0])
    row, column = (round(side * rng.uniform(0.25, 0.75)) for side in image.shape[1:])
    above, below, left, right = (
        slice(None, row), slice(row, None), slice(None, column), slice(column, None)
    )  # fmt: skip
    for crop, rows, columns in zip(
        crops[1:], (above, below, below), (right, left, right), strict=True
    ):
        image[:, rows, columns] = crop[0][:, rows, columns]
        mask[..., rows, columns] = crop[1][..., rows, columns]
    return image, mask
