"""A box of one picture in another.

    share of the box = 1 - lambda,  lambda ~ Beta(1, 1);   its centre lies anywhere

Source: Yun et al., "CutMix", 2019, https://arxiv.org/abs/1905.04899; for segmentation, French et
al., "Semi-supervised semantic segmentation needs strong, varied perturbations", 2020,
https://arxiv.org/abs/1906.01916: the mask is cut as the picture is.
"""

import math

import numpy as np

from pixelwise.data.augmenting.mixing import Crop


def boxed(one: Crop, other: Crop, rng: np.random.Generator) -> Crop:
    """The first crop with a box of the second, picture and mask."""
    image, mask = (part.clone() for part in one)
    side = math.sqrt(1 - rng.beta(1, 1))
    spans = []
    for size in image.shape[1:]:
        middle, half = int(rng.integers(size)), size * side / 2
        spans.append(slice(max(0, round(middle - half)), min(size, round(middle + half))))
    rows, columns = spans
    image[:, rows, columns] = other[0][:, rows, columns]
    mask[..., rows, columns] = other[1][..., rows, columns]
    return image, mask
