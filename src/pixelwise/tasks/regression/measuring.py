"""What the values of a training split are like, so that a network learns them in plain units."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from pixelwise.data.source import LabelledPictures
from pixelwise.errors import InputError

PICTURES = 64
"""Evenly spaced pictures that are looked at."""
VALUES = 50_000
"""Evenly spaced values of each of them that quantiles are taken from."""
QUANTILES = (0.01, *(i / 10 for i in range(1, 10)), 0.99)


@dataclass(frozen=True)
class Measured:
    """Numbers of one band.

    Args:
        mean: Of its values.
        std: Their standard deviation; 1 where all are equal.
        lowest: The lowest of them.
        quantiles: Those of `QUANTILES`.
    """

    mean: float
    std: float
    lowest: float
    quantiles: tuple[float, ...]


def measure(pictures: LabelledPictures) -> tuple[Measured, ...]:
    """Look at the known values of at most 64 pictures, band by band.

    Raises:
        InputError: None of them has a known value in some band.
    """
    count = min(PICTURES, len(pictures))
    chosen: list[list[ndarray]] = [[] for _ in pictures.classes.names]
    for i in range(count):
        mask = pictures[i * len(pictures) // count].mask.numpy()
        for found, band in zip(chosen, mask, strict=True):
            found.append(band[np.isfinite(band)].astype(np.float64))
    return tuple(
        _measured(found, name, pictures.name)
        for found, name in zip(chosen, pictures.classes.names, strict=True)
    )


def _measured(found: list[ndarray], name: str, where: str) -> Measured:
    values = np.concatenate(found)
    if not values.size:
        raise InputError(
            f"{where}: {name} is known at no pixel of {len(found)} pictures (NaN, infinite, the"
            " files' own nodata and values_nodata never are); look at the masks"
        )
    std = float(values.std())
    some = np.concatenate([band[:: max(1, band.size // VALUES)] for band in found])
    quantiles = np.quantile(some, QUANTILES)
    return Measured(
        float(values.mean()),
        std if std > 0 else 1.0,
        float(values.min()),
        tuple(quantiles.tolist()),
    )
