"""Views over a plane with boxes and balls, lit by a sun, with the depth of every pixel.

Sizes, colours and textures of things say nothing of how far away they are, and there is no haze.
The plane's depth follows from where the horizon lies, and a thing's from where it stands on the
plane: both are often far from the pixel in question.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.depth_geometry import (
    HEIGHT,
    PLANE,
    SKY,
    Numbers,
    Seen,
    Solid,
    look,
    rays,
)

PLANES = ((0.52, 0.56, 0.40), (0.64, 0.58, 0.46), (0.55, 0.54, 0.53), (0.70, 0.66, 0.56))
SKIES = ((0.60, 0.74, 0.90), (0.76, 0.82, 0.88), (0.88, 0.78, 0.68))
THINGS = ((0.80, 0.28, 0.22), (0.25, 0.45, 0.72), (0.90, 0.72, 0.25), (0.30, 0.58, 0.42),
          (0.88, 0.86, 0.82), (0.52, 0.36, 0.56), (0.85, 0.50, 0.22))  # fmt: skip


@dataclass(frozen=True)
class View:
    """What is in a picture.

    Args:
        tilt: Of the camera, radians downwards.
        solids: On the plane, none within another.
        sun: Direction to it.
    """

    tilt: float
    solids: tuple[Solid, ...]
    sun: Numbers


def plan(seed: int, split: int, index: int) -> View:
    """The view of a picture, whatever its size."""
    rng = np.random.default_rng([seed, split, index, 0])
    turn, rise = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.1)
    sun = np.array([np.cos(rise) * np.cos(turn), -np.sin(rise), np.cos(rise) * np.sin(turn)])
    solids: list[Solid] = []
    wanted = int(rng.integers(4, 9))
    for _ in range(60):
        solid = _solid(rng)
        apart = [np.hypot(s.right - solid.right, s.ahead - solid.ahead) for s in solids]
        free = all(a > s.radius + solid.radius + 0.1 for a, s in zip(apart, solids, strict=True))
        if free and np.hypot(solid.right, solid.ahead) > solid.radius + 1.5:
            solids.append(solid)
        if len(solids) == wanted:
            break
    return View(float(rng.uniform(0.05, 0.42)), tuple(solids), sun)


def _solid(rng: np.random.Generator) -> Solid:
    """A box or ball that looks as large from near as from far: its size grows with distance."""
    ahead = float(np.exp(rng.uniform(np.log(3.0), np.log(28.0))))
    right = float(rng.uniform(-0.6, 0.6) * ahead)
    unit = ahead * float(np.exp(rng.uniform(np.log(0.035), np.log(0.14))))
    if rng.random() < 0.4:
        return Solid(right, ahead, (unit, unit, unit), ball=True)
    wide, high, long = (unit * rng.uniform(0.6, 1.5, 3)).tolist()
    return Solid(right, ahead, (wide, high, long), float(rng.uniform(0, np.pi / 2)))


def draw(
    seed: int, split: int, index: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture (size, size, 3) and its depth (size, size) in metres, NaN where there is none."""
    view = plan(seed, split, index)
    seen = look(rays(size, view.tilt), view.solids)
    rng = np.random.default_rng([seed, split, index, 2])
    light = rng.uniform(0.88, 1.05) * rng.uniform(0.97, 1.03, 3)
    picture = _paint(rng, view, seen, size).reshape(size, size, 3) * light
    grain = 0.015 * rng.standard_normal((size, size, 1))
    shown = np.clip((picture + grain) * 255, 0, 255).astype(np.uint8)
    depth = np.where(seen.kind == SKY, np.nan, seen.depth).astype(np.float32)
    return shown, depth.reshape(size, size)


def _paint(rng: np.random.Generator, view: View, seen: Seen, size: int) -> Numbers:
    """Colours (size * size, 3)."""
    sky, plane = (np.array(c[rng.integers(len(c))]) for c in (SKIES, PLANES))
    height = np.repeat(np.linspace(0.12, -0.12, size), size)[:, None]
    picture = sky + height * np.array([-0.4, -0.2, 0.5])
    facing = np.zeros(size * size)
    on_plane = seen.kind == PLANE
    picture[on_plane] = plane * (1 + _ground(rng, seen.places[:, on_plane]))[:, None]
    facing[on_plane] = -view.sun[1]
    for number, solid in enumerate(view.solids, PLANE + 1):
        colour, freedom = np.array(THINGS[rng.integers(len(THINGS))]), rng.uniform(0, 1, 5)
        here = seen.kind == number
        if here.any():
            normals, own = solid.surface(seen.places[:, here])
            picture[here] = colour * (1 + _pattern(own, freedom))[:, None]
            facing[here] = view.sun @ normals
    solid_parts = seen.kind != SKY
    lit = _lit(view, seen, facing > 0)
    shade = 0.5 + 0.5 * np.where(lit, facing, 0)
    picture[solid_parts] *= shade[solid_parts, None] / (0.5 - 0.5 * view.sun[1])
    return picture


def _lit(view: View, seen: Seen, facing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the pixels that face the sun no other solid keeps from it."""
    lit = facing.copy()
    places, kinds = seen.places[:, facing], seen.kind[facing]
    free = np.ones(len(kinds), bool)
    for number, solid in enumerate(view.solids, PLANE + 1):
        free &= (kinds == number) | ~np.isfinite(solid.hit(places, view.sun[:, None]))
    lit[facing] = free
    return lit


def _ground(rng: np.random.Generator, places: Numbers) -> Numbers:
    """Waves in several directions, of a length that differs from picture to picture.

    Where a wave is shorter than about two pixels it fades.
    """
    right, _, ahead = places
    tone = np.zeros(len(right))
    longest = np.exp(rng.uniform(np.log(0.6), np.log(2.5)))
    for octave in range(5):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        length = longest * 0.62**octave
        wave = 2 * np.pi / length * (np.cos(angle) * right + np.sin(angle) * ahead)
        footprint = ahead**2 / (HEIGHT * 90)  # metres of the plane that a pixel covers, about
        fade = np.clip(length / (3 * footprint + 1e-6) - 0.5, 0, 1)
        tone += 0.05 * fade * np.sin(wave + phase + 1.5 * np.sin(0.37 * wave + 2 * phase))
    return tone


def _pattern(own: Numbers, freedom: Numbers) -> Numbers:
    """Stripes and a slow change of tone, as coarse on small things as on large ones."""
    weights, count, phase = freedom[:3] - 0.5, 2 + 4 * freedom[3], 6 * freedom[4]
    stripes = np.sin(count * own[1] * np.pi + phase + 2 * (weights @ own))
    return 0.08 * stripes * (freedom[0] > 0.4) + 0.12 * (weights @ own)
