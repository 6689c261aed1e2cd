"""Houses and trees beside the ways of a procedural view, and the shadows they cast."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.drawing import Array, Canvas, box, patch

ROOFS = ((0.72, 0.40, 0.30), (0.64, 0.34, 0.27), (0.78, 0.54, 0.40), (0.57, 0.56, 0.57),
         (0.45, 0.42, 0.45), (0.80, 0.76, 0.69))  # fmt: skip
LEAVES = ((0.20, 0.37, 0.20), (0.25, 0.43, 0.22), (0.17, 0.33, 0.22), (0.31, 0.45, 0.21))


@dataclass(frozen=True)
class House:
    """A gabled house; lengths in pixels, the ridge runs along `angle`."""

    centre: tuple[float, float]
    angle: float
    half_length: float
    half_width: float
    height: float

    @property
    def radius(self) -> float:
        """Half the diagonal."""
        return float(np.hypot(self.half_length, self.half_width))


@dataclass(frozen=True)
class Tree:
    """A round crown; lengths in pixels."""

    centre: tuple[float, float]
    radius: float


def place_houses(
    rng: np.random.Generator, ways: tuple[Array, ...], half_width: float, taken: Array
) -> list[House]:
    """Houses in rows along the ways, where `taken` (distance to ways and their end) has room."""
    size = len(taken)
    free = taken > 0.025 * size
    houses: list[House] = []
    for _ in range(48):
        way = ways[rng.integers(len(ways))]
        i = int(rng.integers(len(way) - 1))
        ahead = way[i + 1] - way[i]
        angle = float(np.arctan2(ahead[1], ahead[0]))
        length, width = rng.uniform(0.040, 0.075) * size, rng.uniform(0.030, 0.042) * size
        gap = half_width + width + rng.uniform(0.035, 0.09) * size
        side = gap if rng.random() < 0.5 else -gap
        x, y = way[i] + rng.random() * ahead + side * np.array([-np.sin(angle), np.cos(angle)])
        if rng.random() < 0.3:
            angle, length, width = angle + np.pi / 2, width, width * 0.8
        house = House((float(x), float(y)), angle, length, width, rng.uniform(0.03, 0.055) * size)
        here = patch(size, house.centre, angle, house.radius + 0.03 * size)
        room = box(here.along, here.across, length, width) < 0.022 * size
        if room.any() and free[here.at][room].all():
            houses.append(house)
            free[here.at] &= ~room
        if len(houses) == 11:
            break
    return houses


def place_trees(rng: np.random.Generator, taken: Array, houses: list[House]) -> list[Tree]:
    """Clumps of trees clear of ways and houses."""
    size = len(taken)
    room = taken.copy()
    for house in houses:
        here = patch(size, house.centre, house.angle, house.radius + 0.08 * size)
        edge = box(here.along, here.across, house.half_length, house.half_width)
        np.minimum(room[here.at], edge, out=room[here.at])
    trees = []
    for _ in range(int(rng.integers(7, 12))):
        clump = rng.uniform(0, size, 2)
        for _ in range(int(rng.integers(1, 8))):
            x, y = clump + rng.normal(0, 0.055 * size, 2)
            radius = rng.uniform(0.018, 0.036) * size
            inside = 0 <= x < size and 0 <= y < size
            if inside and room[int(y), int(x)] > radius + 0.015 * size:
                trees.append(Tree((float(x), float(y)), float(radius)))
    return trees


def cast_shadows(
    canvas: Canvas, sun: tuple[float, float], houses: list[House], trees: list[Tree]
) -> None:
    """Darken the picture away from the sun; the mask keeps what lies below."""
    shadow: NDArray[np.float32] = np.zeros(canvas.mask.shape, np.float32)
    for house in houses:
        here = patch(canvas.size, house.centre, house.angle, house.radius + house.height + 2)
        cos, sin = math.cos(house.angle), math.sin(house.angle)
        u, v = (cos * sun[0] + sin * sun[1]), (cos * sun[1] - sin * sun[0])
        for reach in (0.34, 0.67, 1.0):
            step = reach * house.height
            edge = box(
                here.along + step * u, here.across + step * v, house.half_length, house.half_width
            )
            np.maximum(shadow[here.at], np.clip(0.5 - edge, 0, 1), out=shadow[here.at])
    for tree in trees:
        x, y = (c - 0.8 * tree.radius * s for c, s in zip(tree.centre, sun, strict=True))
        here = patch(canvas.size, (x, y), 0.0, tree.radius + 1)
        edge = np.hypot(here.along, here.across) - np.float32(tree.radius)
        np.maximum(shadow[here.at], np.clip(0.5 - edge, 0, 1), out=shadow[here.at])
    canvas.shade(shadow, np.array([0.50, 0.46, 0.38], np.float32))


def paint_houses(
    canvas: Canvas,
    rng: np.random.Generator,
    sun: tuple[float, float],
    houses: list[House],
    label: int,
) -> None:
    """Two roof planes, the one that faces the sun lighter, a ridge, tiles and a dark edge."""
    for house in houses:
        here = patch(canvas.size, house.centre, house.angle, house.radius + 1)
        colour = np.array(ROOFS, np.float32)[rng.integers(len(ROOFS))]
        colour = colour + np.float32(rng.uniform(-0.04, 0.04))
        edge = box(here.along, here.across, house.half_length, house.half_width)
        facing = math.cos(house.angle) * sun[1] - math.sin(house.angle) * sun[0]
        tone = 1 + math.copysign(0.17, facing) * np.clip(here.across, -1, 1)
        tone = tone + np.float32(0.035) * np.sin(here.along * np.float32(2.1))
        tone = tone + np.float32(0.16) * np.clip(1 - np.abs(here.across), 0, 1)
        tone = tone - np.float32(0.22) * np.clip(edge + np.float32(1.5), 0, 1)
        canvas.paint(edge, colour * tone[..., None].astype(np.float32), label, here.at)


def paint_trees(
    canvas: Canvas,
    rng: np.random.Generator,
    sun: tuple[float, float],
    trees: list[Tree],
    label: int,
) -> None:
    """Crowns with an uneven rim, lighter towards the sun."""
    for tree in trees:
        here = patch(canvas.size, tree.centre, 0.0, 1.2 * tree.radius + 1)
        away = np.hypot(here.along, here.across)
        turn = np.arctan2(here.across, here.along)
        waves, phase = int(rng.integers(5, 8)), rng.uniform(0, 6)
        rim = np.float32(tree.radius) * (1 + np.float32(0.10) * np.sin(waves * turn + phase))
        lit = (here.along * sun[0] + here.across * sun[1]) / np.float32(tree.radius)
        grain = rng.standard_normal(away.shape, np.float32) * np.float32(0.10)
        tone = 1 + np.float32(0.30) * lit + grain - np.float32(0.15) * (away / rim) ** 2
        colour = np.array(LEAVES, np.float32)[rng.integers(len(LEAVES))]
        leaves = colour * tone[..., None].astype(np.float32)
        canvas.paint((away - rim).astype(np.float32), leaves, label, here.at)
