"""Which pixels to ask about: one inside each predicted class."""

import torch
from jaxtyping import Int
from torch import Tensor

from pixelwise.checks import at_least


def automatic_queries(
    classes: Int[Tensor, "h w"], *, most: int = 8, ignore: int | None = None
) -> list[tuple[int, int]]:
    """One pixel (row, column) per class of a mask, the largest classes first.

    It is the pixel farthest from all other classes and from the picture's edge: inside the class's
    widest region. Of several, the middle one in reading order.

    Args:
        classes: The class of every pixel.
        most: Pixels at most.
        ignore: A class that is passed over.

    Raises:
        InputError: `most` below 1.
    """
    at_least(1, most=most)
    found, counts = torch.unique(classes, return_counts=True)
    largest = sorted(zip((-counts).tolist(), found.tolist(), strict=True))
    depths = _depths(classes)
    queries: list[tuple[int, int]] = []
    for _, value in largest:
        if value == ignore or len(queries) == most:
            continue
        inside = torch.where(classes == value, depths, -1)
        deepest = (inside == inside.max()).nonzero()
        row, column = deepest[len(deepest) // 2].tolist()
        queries.append((row, column))
    return queries


def _depths(classes: Int[Tensor, "h w"]) -> Int[Tensor, "h w"]:
    """Steps to rows and columns from each pixel to the nearest border pixel of its region.

    d(i, j) = min over border pixels (k, l) of |i - k| + |j - l|, one axis after the other.
    """
    height, width = classes.shape
    border = torch.ones(height, width, dtype=torch.bool)
    inner = classes[1:-1, 1:-1]
    neighbours = (classes[:-2, 1:-1], classes[2:, 1:-1], classes[1:-1, :-2], classes[1:-1, 2:])
    border[1:-1, 1:-1] = torch.stack([inner != other for other in neighbours]).any(0)
    steps = torch.where(border, 0, height + width)
    for axis in (0, 1):
        size = (-1, 1) if axis == 0 else (1, -1)
        place = torch.arange(steps.shape[axis]).view(size)
        before = (steps - place).cummin(axis).values + place
        after = (steps + place).flip(axis).cummin(axis).values.flip(axis) - place
        steps = torch.minimum(before, after)
    return steps
