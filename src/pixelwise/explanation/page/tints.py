"""A map as a small picture of its own resolution: colours for its values, nothing for zeros.

A browser lays it over the picture and scales it: a page of a thousand maps stays small.
"""

import functools
import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from pixelwise.explanation.placing import resampled
from pixelwise.pictures.overlays import SPARSE, colour_limits

MOST = 256
"""Rows or columns of a map's picture at most; larger maps are averaged."""
LEVELS = 64
"""Colours: more cannot be told apart through a picture, and make a file twice as large."""
WEIGHTS, SIGNED = "viridis", "PuOr_r"
"""They differ in lightness as well as in hue; the second one is for values of both signs."""


@dataclass(frozen=True)
class Tint:
    """A map's picture, and what its colours stand for."""

    png: bytes
    low: float
    """The value at which colours begin."""
    high: float
    """The value at which they end; where larger ones are, they have the last colour."""
    signed: bool
    """Whether there are values of both signs: 0 has the middle colour."""
    sparse: bool
    """Whether most values are 0, and have no colour."""


def tinted(values: Float[np.ndarray, "_ _"], most: int = MOST) -> Tint:
    """The map's picture, with colours to the 99.5th percentile of the values that are not 0."""
    values = values.astype(np.float64)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    low, high = colour_limits(values)
    sparse = bool((np.abs(values) <= 1e-6 * largest).mean() > SPARSE)
    shown = _averaged(values, most)
    hidden = ~np.isfinite(shown)
    if sparse:
        hidden |= np.abs(shown) <= 1e-6 * largest
    steps = (np.where(hidden, low, shown) - low) / (high - low) * LEVELS - 0.5
    steps = np.where(hidden, LEVELS, steps.round().clip(0, LEVELS - 1)).astype(np.uint8)
    picture = Image.fromarray(steps, "L")
    picture.putpalette(bytes(palette(low < 0)) + bytes(3))  # of an "L" it makes a "P"
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=LEVELS)
    return Tint(buffer.getvalue(), low, high, low < 0, sparse)


def _averaged(values: Float[np.ndarray, "_ _"], most: int) -> Float[np.ndarray, "_ _"]:
    size = [min(side, most) for side in values.shape]
    if tuple(size) == values.shape:
        return values
    sums = resampled(torch.from_numpy(values), size).numpy()
    return sums * (sums.size / values.size)


@functools.cache
def palette(signed: bool) -> tuple[int, ...]:
    """Red, green and blue of each level."""
    from matplotlib import colormaps

    colours = colormaps[SIGNED if signed else WEIGHTS](np.linspace(0, 1, LEVELS))[:, :3]
    return tuple((255 * colours).round().astype(int).ravel().tolist())


def legend(signed: bool) -> bytes:
    """All levels from left to right; PNG bytes."""
    picture = Image.fromarray(np.arange(LEVELS, dtype=np.uint8)[None], "L")
    picture.putpalette(bytes(palette(signed)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
