"""Pixels without data: found in what was read, and filled before a network sees them.

A pixel is without data where any band is NaN, infinite or a value that means "no data". In whole
numbers from 0 up, where 0 and the largest value are colours too, all bands must have it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Num
from numpy.typing import NDArray
from torch import Tensor


def find_missing(raw: NDArray[Any], nodata: Sequence[float]) -> NDArray[np.bool_] | None:
    """Where a picture (c, h, w) has no data; None: nowhere."""
    found = np.zeros(raw.shape[1:], np.bool_)
    if raw.dtype.kind == "f":
        found |= ~np.isfinite(raw).all(0)
    for number in nodata:
        found |= _has(raw, number)
    return found if found.any() else None


def filled(
    image: Num[Tensor, "c h w"],
    missing: Bool[Tensor, "h w"] | None,
    mean: Sequence[float],
    scale: float,
) -> Num[Tensor, "c h w"]:
    """The picture with the mean in its pixels without data: about 0 once it is normalised.

    Args:
        image: Raw values.
        missing: Pixels without data; None: there is none.
        mean: Per band, in units of raw value / scale.
        scale: The raw value that means 1.0.
    """
    if missing is None:
        return image
    means = torch.tensor(mean, dtype=torch.float64) * scale
    if not image.is_floating_point():
        means = means.round().clamp(0, torch.iinfo(image.dtype).max)
    return torch.where(missing, means.to(image.dtype)[:, None, None], image)


def _has(raw: NDArray[Any], number: float) -> NDArray[np.bool_]:
    nowhere = np.zeros(raw.shape[1:], np.bool_)
    if raw.dtype.kind == "f":
        most = float(np.finfo(raw.dtype).max)
        if not abs(number) < 1.01 * most:
            return nowhere  # cannot be stored, or was found already
        stored = raw.dtype.type(min(max(number, -most), most))
        # Tags state a number in few digits; -3.4e38 is meant for the lowest float32.
        close = 1e-6 if abs(number) < 1e30 else 1e-2
        with np.errstate(over="ignore"):
            return np.isclose(raw, stored, rtol=close, atol=0).any(0)
    if raw.dtype.kind not in "iu" or not np.isfinite(number) or number != int(number):
        return nowhere
    limits = np.iinfo(raw.dtype)
    if not limits.min <= number <= limits.max:
        return nowhere
    same = raw == raw.dtype.type(int(number))
    is_colour = raw.dtype.kind == "u" and number in (0, limits.max)
    return same.all(0) if is_colour else same.any(0)
