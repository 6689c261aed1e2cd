"""Whether label borders lie on the edges of their picture, and whether they would if moved.

E       strength of the picture's edges, mean 0 and deviation 1
B(T)    border pixels of the mask after a mirror, turn or shift T
s(T)    mean of E over B(T)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8
from PIL import Image

from pixelwise.language import mark

REACH = 24
"""Pixels that a mask may be moved by."""
LONGEST = 512
"""Larger pictures are looked at by every other, third, ... pixel."""
SKETCH = 48
"""Rows and columns of the small maps by which any mask is compared with any picture."""
FEWEST = 40
"""Border pixels below which nothing can be said."""

Plane = Num[np.ndarray, "_ _"]
MIRRORS = (
    mark("mirrored left to right"),
    mark("mirrored top to bottom"),
    mark("turned by 180 degrees"),
)
TURNS = (
    mark("turned by 90 degrees"),
    mark("turned by 270 degrees"),
    "transposed",
    mark("transposed across"),
)


@dataclass(frozen=True)
class Fit:
    """How a mask fits its picture.

    Args:
        borders: Border pixels that were looked at.
        scores: "as it is", or what would be done to the mask -> mean strength of edges below its
            borders; nothing where "as it is" is impossible, since the sizes differ.
        shifts: The same for all shifts, rows and columns -REACH..REACH; None: sizes differ.
        step: Pixels of the file per pixel that was looked at.
        edges: A small map of the picture's edges.
        lines: A small map of the mask's borders.
    """

    borders: int
    scores: Mapping[str, float] = field(default_factory=dict)
    shifts: Float[np.ndarray, "_ _"] | None = None
    step: int = 1
    edges: UInt8[np.ndarray, "s s"] | None = None
    lines: UInt8[np.ndarray, "s s"] | None = None


def turned(mask: Plane, how: str) -> Plane:
    """The mask after one of `MIRRORS` or `TURNS`."""
    changed = {
        MIRRORS[0]: lambda: mask[:, ::-1],
        MIRRORS[1]: lambda: mask[::-1],
        MIRRORS[2]: lambda: mask[::-1, ::-1],
        TURNS[0]: lambda: np.rot90(mask),
        TURNS[1]: lambda: np.rot90(mask, 3),
        TURNS[2]: lambda: mask.T,
        TURNS[3]: lambda: mask[::-1, ::-1].T,
    }
    return changed[how]()


def measure(picture: UInt8[np.ndarray, "h w"], mask: Plane) -> Fit | None:
    """Look at a grey picture and its mask; None: nothing can be said.

    Masks of the picture's size turned by 90 degrees are taken too.
    """
    if mask.shape not in (picture.shape, picture.shape[::-1]):
        return None
    step = -(-max(picture.shape) // LONGEST)
    edges = _edges(picture[::step, ::step])
    if edges is None:
        return None
    small = mask[::step, ::step]
    alike, square = small.shape == edges.shape, small.shape[0] == small.shape[1]
    ways = (MIRRORS if alike else ()) + (TURNS if square or not alike else ())
    borders = _borders(small)
    count = int(borders.sum())
    if count < FEWEST:
        return None
    scores = {how: float(edges[_borders(turned(small, how))].mean()) for how in ways}
    if not alike:
        return Fit(count, scores, None, step)
    scores["as it is"] = float(edges[borders].mean())
    return Fit(
        count,
        scores,
        _shifts(edges, borders),
        step,
        _sketch((edges + 2) * 40),
        _sketch(borders.astype(np.float32) * 510),
    )


def _sketch(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "s s"]:
    small = Image.fromarray(values).resize((SKETCH, SKETCH), Image.Resampling.BOX)
    return np.clip(np.asarray(small), 0, 255).astype(np.uint8)


def _edges(grey: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"] | None:
    """Strength of edges, smoothed over three pixels and with its strongest cut off."""
    if min(grey.shape) < 8:
        return None
    values = grey.astype(np.float32)
    raw = np.zeros(values.shape, np.float32)
    across, down = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    raw[:, :-1] += across
    raw[:-1] += down
    padded = np.pad(raw, 1, mode="edge")
    high, wide = grey.shape
    found = np.zeros_like(raw)
    for row, column in product(range(3), range(3)):
        found += padded[row : row + high, column : column + wide]
    found = np.minimum(found, np.percentile(found, 97))
    deviation = float(found.std())
    return (found - found.mean()) / deviation if deviation > 1e-3 else None


def _borders(mask: Plane) -> Bool[np.ndarray, "h w"]:
    """Pixels whose right or lower neighbour is of another class."""
    found = np.zeros(mask.shape, np.bool_)
    found[:, :-1] |= mask[:, 1:] != mask[:, :-1]
    found[:-1] |= mask[1:] != mask[:-1]
    return found


def _shifts(
    edges: Float[np.ndarray, "h w"], borders: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "_ _"]:
    """Mean edge strength below the borders for every shift of the mask."""
    size = [-(-(n + REACH) // 32) * 32 for n in edges.shape]  # lengths that transform quickly
    spectrum = np.fft.rfft2(edges, size)
    kernel = np.fft.rfft2(borders.astype(np.float32), size)
    sums = np.fft.irfft2(spectrum * np.conj(kernel), size)
    around = np.arange(-REACH, REACH + 1)
    return (sums[np.ix_(around, around)] / max(1, borders.sum())).astype(np.float16)
