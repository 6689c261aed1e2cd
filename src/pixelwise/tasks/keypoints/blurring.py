"""Gaussian blur of heat maps, with the numbers of OpenCV.

    b = K * h,   K(j) = exp(-j^2 / (2 s^2)) / sum,   s = 0.3 ((k - 1) / 2 - 1) + 0.8

For k up to 9, K is a table of fractions instead. Outside the map are zeros, or its mirror image
without the border cell ("reflect 101").

Reference: OpenCV 5.0 getGaussianKernel and GaussianBlur (Apache-2.0), through recorded numbers.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError

TABLES: Mapping[int, tuple[int, ...]] = {
    1: (1,),
    3: (1, 2, 1),
    5: (1, 4, 6, 4, 1),
    7: (2, 7, 14, 18, 14, 7, 2),
    9: (4, 13, 30, 51, 60, 51, 30, 13, 4),
}


def gaussian_kernel(side: int) -> Float[Tensor, " side"]:
    """The kernel of `side` cells, float64.

    Raises:
        InputError: An even side, or one below 1.
    """
    if side < 1 or side % 2 == 0:
        raise InputError(f"kernel={side}: must be odd and at least 1; 11 is usual")
    if side in TABLES:
        weights = torch.tensor(TABLES[side], dtype=torch.float64)
    else:
        spread = 0.3 * ((side - 1) / 2 - 1) + 0.8
        distance = torch.arange(side, dtype=torch.float64) - side // 2
        weights = torch.exp(-(distance**2) / (2 * spread**2))
    return weights / weights.sum()


def blurred(
    maps: Float[Tensor, "b k h w"], side: int, *, mirrored: bool
) -> Float[Tensor, "b k h w"]:
    """Maps after a Gaussian of `side` cells; beyond the border lie mirror images, or zeros."""
    weights = gaussian_kernel(side).to(maps)
    reach = side // 2
    b, k, h, w = maps.shape
    if mirrored:
        rows, columns = (_mirror(n, reach, maps.device) for n in (h, w))
        padded = maps[:, :, rows][..., columns]
    else:
        padded = F.pad(maps, (reach, reach, reach, reach))
    flat = padded.reshape(b * k, 1, h + 2 * reach, w + 2 * reach)
    flat = F.conv2d(flat, weights.view(1, 1, side, 1))
    return F.conv2d(flat, weights.view(1, 1, 1, side)).reshape(b, k, h, w)


def _mirror(count: int | torch.SymInt, reach: int, device: torch.device) -> Tensor:
    """Places in 0..count-1 that -reach..count-1+reach stand for; reflections may repeat."""
    period = max(2 * (count - 1), 1)
    # A tensor, as an ONNX file has no remainder by a number that is left open.
    place = torch.arange(-reach, count + reach, device=device) % torch.full((), period).to(device)
    return torch.where(place < count, place, period - place)
