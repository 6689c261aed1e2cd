"""What lies near a pixel of a mask."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor

NOTHING = -(2**31)
"""Less than any class."""


def within(inside: Bool[Tensor, "h w"], tolerance: int) -> Bool[Tensor, "h w"]:
    """Whether a pixel inside lies within the tolerance of each pixel, between centres."""
    narrow = torch.int16 if tolerance < 100 else torch.int64
    squares = torch.where(inside, 0, (tolerance + 1) ** 2).to(narrow)
    for axis in (0, 1):
        first = squares.clone()
        for step in range(1, min(tolerance, inside.shape[axis] - 1) + 1):
            size = inside.shape[axis] - step
            near, further = squares.narrow(axis, 0, size), squares.narrow(axis, step, size)
            torch.minimum(near, first.narrow(axis, step, size) + step**2, out=near)
            torch.minimum(further, first.narrow(axis, 0, size) + step**2, out=further)
    return squares <= tolerance**2


def beside_others(
    labels: Int[Tensor, "h w"], known: Bool[Tensor, "h w"], distance: int
) -> Bool[Tensor, "h w"]:
    """Whether a pixel known to be of another class lies in the square of that half side."""
    labels = labels.to(torch.int32)
    above = largest(torch.where(known, labels, NOTHING), distance)
    below = largest(torch.where(known, -labels, NOTHING), distance)
    return (above > labels) | (below > -labels)


def largest(values: Int[Tensor, "h w"], distance: int) -> Int[Tensor, "h w"]:
    """The largest value in the square of that half side around each pixel."""
    for axis in (0, 1):
        reach = min(distance, values.shape[axis] - 1)
        around = (0, 0, reach, reach) if axis == 0 else (reach, reach)
        values, covered = F.pad(values, around, value=NOTHING), 1
        while covered < 2 * reach + 1:
            step = min(covered, 2 * reach + 1 - covered)
            size = values.shape[axis] - step
            values = torch.maximum(values.narrow(axis, 0, size), values.narrow(axis, step, size))
            covered += step
    return values


def rim(height: int, width: int, distance: int) -> Bool[Tensor, "h w"]:
    """The pixels within a distance of the outside of a picture; those at its edge are 1 from it."""
    found = torch.ones(height, width, dtype=torch.bool)
    found[
        distance : max(distance, height - distance), distance : max(distance, width - distance)
    ] = False
    return found
