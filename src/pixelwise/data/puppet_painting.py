"""A puppet on paper: ground with sticks of other toys, the puppet, and things in front of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.drawing import Array, Canvas, Colour, box, noise, patch
from pixelwise.data.puppet import (
    ELBOW,
    FOOT,
    HAND,
    HEAD,
    HIP,
    KNEE,
    NECK,
    SKELETON,
    Place,
    Puppet,
    is_front,
    pose,
)

GROUNDS = ((0.55, 0.60, 0.52), (0.62, 0.55, 0.46), (0.48, 0.53, 0.60), (0.66, 0.64, 0.58),
           (0.50, 0.46, 0.44), (0.57, 0.62, 0.64))  # fmt: skip
CLOTH = ((0.75, 0.22, 0.18), (0.20, 0.42, 0.70), (0.16, 0.50, 0.36), (0.85, 0.60, 0.16),
         (0.48, 0.26, 0.52), (0.30, 0.30, 0.34))  # fmt: skip
WOOD, PIN, HAT = (0.86, 0.68, 0.48), (0.97, 0.95, 0.88), (0.34, 0.34, 0.38)
BADGE, KNOT = (1.0, 0.86, 0.20), (0.06, 0.10, 0.34)
BODY, COVERED = 200, 255  # labels of the canvas beside those of points, which are number + 1


@dataclass(frozen=True)
class Drawn:
    """A picture (size, size, 3), its puppet, and what is seen of it (see `Figure`)."""

    picture: NDArray[np.uint8]
    puppet: Puppet
    visible: NDArray[np.uint8]
    area: float


def draw(seed: int, split: int, index: int, size: int, *, front: bool | None = None) -> Drawn:
    """Picture `index`; `front` forces the side that the puppet is seen from."""
    front = is_front(seed, split, index) if front is None else front
    puppet = pose(np.random.default_rng([seed, split, index, 0]), size, front=front)
    rng = np.random.default_rng([seed, split, index, 2])
    canvas = Canvas(_ground(rng, size), np.zeros((size, size), np.uint8))
    _toys(canvas, rng)
    paint(canvas, rng, puppet)
    area = float((canvas.mask > 0).sum())
    _cover(canvas, rng, puppet)
    light = (rng.uniform(0.85, 1.08) * rng.uniform(0.96, 1.04, 3)).astype(np.float32)
    grain = rng.standard_normal((size, size, 1), np.float32) * np.float32(0.015)
    picture = np.clip((canvas.picture * light + grain) * 255, 0, 255).astype(np.uint8)
    return Drawn(picture, puppet, puppet.visible(canvas.mask), area)


def paint(canvas: Canvas, rng: np.random.Generator, puppet: Puppet) -> None:
    """The puppet: legs, trunk, arms, head and hat; the pixels of a joint bear its label."""
    points, unit = puppet.points, puppet.height
    trunk, limbs = (CLOTH[i] for i in rng.permutation(len(CLOTH))[:2])
    # Which limb is in front is a matter of the side of the picture, not of left and right.
    order = [int(side != puppet.front) for side in rng.permutation(2)]
    for side in order:
        _limb(canvas, puppet.roots[1, side], points, (KNEE + side, FOOT + side), unit, limbs)
    _stick(canvas, points[NECK], points[HIP], 0.055 * unit, trunk)
    for joint in (NECK, HIP):
        _ball(canvas, points[joint], 0.02 * unit, PIN, joint + 1)
    for side in order:
        _limb(canvas, puppet.roots[0, side], points, (ELBOW + side, HAND + side), unit, limbs)
    _ball(canvas, points[HEAD], 0.062 * unit, WOOD, HEAD + 1)
    _hat(canvas, puppet)


def _limb(
    canvas: Canvas,
    root: Place,
    points: Place,
    joints: tuple[int, int],
    unit: float,
    colour: Colour,
) -> None:
    """Two sticks, a pin where they meet, and a ball at the end."""
    middle, end = joints
    _stick(canvas, root, points[middle], 0.027 * unit, colour)
    _stick(canvas, points[middle], points[end], 0.023 * unit, colour)
    _ball(canvas, points[middle], 0.02 * unit, PIN, middle + 1)
    _ball(canvas, points[end], 0.032 * unit, WOOD, end + 1)


def _hat(canvas: Canvas, puppet: Puppet) -> None:
    """A tall hat with the mark that tells front from back."""
    unit, angle = puppet.height, float(np.arctan2(puppet.up[1], puppet.up[0]))
    middle = puppet.points[HEAD] + 0.145 * unit * puppet.up
    here = patch(canvas.size, _pair(middle), angle, 0.2 * unit)
    brim = box(here.along + 0.1 * unit, here.across, 0.012 * unit, 0.09 * unit)
    shape = np.minimum(brim, box(here.along, here.across, 0.1 * unit, 0.06 * unit))
    canvas.paint(shape, np.array(HAT, np.float32), BODY, here.at)
    colour = BADGE if puppet.front else KNOT
    _ball(canvas, puppet.mark, 0.045 * unit, colour, BODY)


def _stick(canvas: Canvas, start: Place, end: Place, radius: float, colour: Colour) -> None:
    """A round bar, darker towards its edges."""
    ahead = end - start
    half = float(np.hypot(*ahead)) / 2
    angle = float(np.arctan2(ahead[1], ahead[0]))
    here = patch(canvas.size, _pair((start + end) / 2), angle, half + radius + 1)
    beyond = np.maximum(np.abs(here.along) - np.float32(half), 0)
    away = np.hypot(beyond, here.across)
    _round(canvas, away, radius, colour, BODY, here.at)


def _ball(canvas: Canvas, centre: Place, radius: float, colour: Colour, label: int) -> None:
    here = patch(canvas.size, _pair(centre), 0.0, radius + 1)
    _round(canvas, np.hypot(here.along, here.across), radius, colour, label, here.at)


def _round(
    canvas: Canvas,
    away: Array,
    radius: float,
    colour: Colour,
    label: int | None,
    at: tuple[slice, slice],
) -> None:
    tone = 1 - np.float32(0.3) * np.clip(away / np.float32(radius), 0, 1) ** 2
    painted = np.array(colour, np.float32) * tone[..., None]
    canvas.paint(away - np.float32(radius), painted, label, at)


def _ground(rng: np.random.Generator, size: int) -> Array:
    """Two colours in smooth patches, with a grain of stripes."""
    one, other = (np.array(GROUNDS[i], np.float32) for i in rng.permutation(len(GROUNDS))[:2])
    share = np.clip(0.5 + 0.9 * noise(rng, size, 4) + 0.4 * noise(rng, size, 11), 0, 1)
    angle, pitch = rng.uniform(0, np.pi), 2 * np.pi / (rng.uniform(0.04, 0.09) * size)
    x = np.arange(size, dtype=np.float32)
    stripes = np.sin(np.float32(pitch) * (np.cos(angle) * x + np.sin(angle) * x[:, None]))
    tone = np.float32(0.03) * stripes + np.float32(0.05) * noise(rng, size, 24)
    ground = one + share[..., None].astype(np.float32) * (other - one)
    return (ground + tone[..., None]).astype(np.float32)


def _toys(canvas: Canvas, rng: np.random.Generator) -> None:
    """Sticks with pins and balls that belong to no puppet."""
    size = canvas.size
    for _ in range(int(rng.integers(3, 7))):
        start = rng.uniform(0, size, 2)
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.2) * size
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        radius, colour = rng.uniform(0.018, 0.026) * size, CLOTH[rng.integers(len(CLOTH))]
        _stick(canvas, start, end, radius, colour)
        _ball(canvas, start, rng.uniform(0.014, 0.03) * size, (PIN, WOOD)[rng.integers(2)], BODY)
    canvas.mask[...] = 0


def _cover(canvas: Canvas, rng: np.random.Generator, puppet: Puppet) -> None:
    """Up to two stones in front of the puppet, clear of head and hat."""
    size = canvas.size
    # By the side of the picture, as with the order of the limbs.
    places = puppet.points if puppet.front else puppet.points[list(SKELETON.mirrored())]
    for _ in range(int(rng.integers(3))):
        near = places[rng.integers(HIP, len(places))]
        centre = near + rng.uniform(-0.07, 0.07, 2) * size
        radius, tone = rng.uniform(0.05, 0.095) * size, rng.uniform(0.35, 0.75)
        tint = rng.uniform(0.9, 1.1, 3)
        keep = (puppet.points[HEAD], puppet.mark)
        if min(np.hypot(*(centre - place)) for place in keep) < radius + 0.1 * size:
            continue
        here = patch(size, _pair(centre), 0.0, 1.4 * radius + 1)
        turn = np.arctan2(here.across, here.along)
        colour = (float(tone * tint[0]), float(tone * tint[1]), float(tone * tint[2]))
        bulge = (1 + 0.12 * np.sin(3 * turn + tone * 20)).astype(np.float32)
        away: Array = np.hypot(here.along, here.across)
        _round(canvas, away / bulge, float(radius), colour, COVERED, here.at)


def _pair(place: Place) -> tuple[float, float]:
    x, y = place.tolist()
    return x, y
