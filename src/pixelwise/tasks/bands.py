"""How answers stand in a raster: which bands, of which type, and what means "no data"."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.classes import Colour

MILLE = 10_000
"""Shares are written as whole numbers of ten thousandths."""
NO_SHARE = 65535


@dataclass(frozen=True)
class Bands:
    """The bands of a raster of answers.

    Args:
        names: Of the bands.
        dtype: As numpy names it.
        nodata: What stands where a picture has no data.
        numbers: Logits (k, h, w) and the pixels without data (h, w), or None -> (bands, h, w).
        classes: What the numbers 0, 1, ... mean, where there is one band of classes.
        palette: Their colours.
    """

    names: tuple[str, ...]
    dtype: str
    nodata: float | int
    numbers: Callable[[Tensor, Tensor | None], NDArray[Any]]
    classes: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()


def with_holes(
    values: NDArray[Any], missing: Tensor | None, dtype: str, nodata: float | int
) -> NDArray[Any]:
    """Bands (b, h, w) in a type, with `nodata` where a picture has no data."""
    found = values.astype(dtype)
    if missing is not None:
        found[:, missing.numpy()] = nodata
    return found


def shares(values: Tensor, missing: Tensor | None) -> NDArray[np.uint16]:
    """Numbers of 0 to 1 in ten thousandths."""
    found = (values.double().clamp(0, 1) * MILLE).round().numpy()
    return with_holes(found, missing, "uint16", NO_SHARE)
