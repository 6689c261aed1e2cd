"""Brushes for procedural scenes: noise, signed distances, and soft-edged painting.

Lengths are in pixels, angles in radians, colours in 0..1. A signed distance is negative inside.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Canvas:
    """A picture (size, size, 3) and its mask (size, size), painted together."""

    picture: Array
    mask: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """The side, in pixels."""
        return self.mask.shape[0]

    def paint(
        self, distance: Array, colour: Array, label: int | None, at: tuple[slice, slice]
    ) -> None:
        """Cover the inside of a shape, over one pixel of soft edge, and label it."""
        cover = np.clip(0.5 - distance, 0, 1)[..., None]
        below = self.picture[at]
        below += cover * (colour - below)
        if label is not None:
            self.mask[at][distance < 0] = label

    def shade(self, shadow: Array, tint: Array) -> None:
        """Darken the picture by a shadow (h, w) from 0 to 1; the mask keeps what lies below."""
        self.picture[...] *= 1 - shadow[..., None] * tint


@dataclass(frozen=True)
class Layers(Canvas):
    """A canvas that also keeps the whole extent of what each label covers, hidden parts too.

    `extents` is (k, size, size); the last is of shadows.
    """

    extents: NDArray[np.bool_]

    def paint(
        self, distance: Array, colour: Array, label: int | None, at: tuple[slice, slice]
    ) -> None:
        """As on a canvas; what was painted there before keeps its extent."""
        super().paint(distance, colour, label, at)
        if label is not None:
            self.extents[label][at] |= distance < 0

    def shade(self, shadow: Array, tint: Array) -> None:
        """As on a canvas; a shadow is there from a half on."""
        super().shade(shadow, tint)
        self.extents[-1] |= shadow > 0.5


@dataclass(frozen=True)
class Patch:
    """The pixels near a point: where they are, and their coordinates along and across an angle."""

    at: tuple[slice, slice]
    along: Array
    across: Array


def patch(size: int, centre: tuple[float, float], angle: float, radius: float) -> Patch:
    """The pixels within `radius` of `centre` = (x, y), in coordinates turned by `angle`."""
    left, top = (max(0, int(c - radius)) for c in centre)
    right, bottom = (max(0, min(size, int(c + radius) + 2)) for c in centre)
    x = np.arange(left, max(left, right), dtype=np.float32) + np.float32(0.5 - centre[0])
    y = np.arange(top, max(top, bottom), dtype=np.float32)[:, None] + np.float32(0.5 - centre[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    at = (slice(top, top + y.size), slice(left, left + x.size))
    return Patch(at, cos * x + sin * y, cos * y - sin * x)


def box(along: Array, across: Array, half_length: float, half_width: float) -> Array:
    """Signed distance to a rectangle around the origin."""
    u, v = np.abs(along) - np.float32(half_length), np.abs(across) - np.float32(half_width)
    return np.hypot(np.maximum(u, 0), np.maximum(v, 0)) + np.minimum(np.maximum(u, v), 0)


def hull(along: Array, across: Array, half_length: float, half_width: float) -> Array:
    """About the distance to a body with a rounded, narrowing front (towards +along)."""
    front = np.clip(along / np.float32(half_length), 0, 1)
    width = np.float32(half_width) * (1 - np.float32(0.5) * front**2)
    corner = np.float32(0.35 * half_width)
    u = np.maximum(np.abs(along) - np.float32(half_length) + corner, 0)
    v = np.maximum(np.abs(across) - width + corner, 0)
    return np.hypot(u, v) - corner


def polyline(size: int, points: Array) -> Array:
    """Distance of every pixel to a line through `points` (n, 2) given as (x, y)."""
    x = np.arange(size, dtype=np.float32) + np.float32(0.5)
    y = x[:, None]
    nearest = np.full((size, size), np.inf, np.float32)
    for (x0, y0), (x1, y1) in pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        t = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        np.minimum(nearest, (x - x0 - t * dx) ** 2 + (y - y0 - t * dy) ** 2, out=nearest)
    return np.sqrt(nearest)


def noise(rng: np.random.Generator, size: int, cells: int) -> Array:
    """Smooth noise in about -1..1 whose bumps are size / cells pixels wide."""
    grid = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    place = np.linspace(0, cells, size, endpoint=False, dtype=np.float32)
    low = place.astype(int)
    t = place - low.astype(np.float32)
    t = t * t * (3 - 2 * t)
    rows = grid[low] * (1 - t[:, None]) + grid[low + 1] * t[:, None]
    return rows[:, low] * (1 - t) + rows[:, low + 1] * t


def curve(points: Array, steps: int) -> Array:
    """`steps` + 1 points (x, y) on the cubic Bezier curve with control points (4, 2)."""
    t = np.linspace(0, 1, steps + 1, dtype=np.float32)[:, None]
    s = 1 - t
    weights = np.concatenate([s**3, 3 * s * s * t, 3 * s * t * t, t**3], axis=1)
    return (weights @ points).astype(np.float32)
