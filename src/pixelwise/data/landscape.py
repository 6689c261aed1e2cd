"""One procedural view from above, in which a far-away place decides what the near pixels mean.

A network of dark ways crosses the picture. It ends either in a car park (light paving, marked
bays), and then all its ways are roads and what moves on them are cars, or in a harbour basin
(bright rippled water, piers), and then they are canals with boats. Away from that one place
the two renderings are equal pixel by pixel, so no look at a vehicle or at a stretch of way
tells which it is. Everything is drawn from (seed, split, index, size) with numpy alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.drawing import (
    Array,
    Canvas,
    Colour,
    Layers,
    box,
    curve,
    hull,
    noise,
    patch,
    polyline,
)
from pixelwise.data.scenery import (
    cast_shadows,
    paint_houses,
    paint_trees,
    place_houses,
    place_trees,
)

GROUND, BUILDING, ROAD, TREE, WATER, CAR, BOAT = range(7)
KINDS = 7


FIELDS = ((0.47, 0.56, 0.33), (0.56, 0.61, 0.37), (0.66, 0.63, 0.44), (0.72, 0.66, 0.48),
          (0.41, 0.52, 0.32), (0.60, 0.54, 0.40))  # fmt: skip
BODIES = ((0.95, 0.95, 0.93), (0.82, 0.18, 0.16), (0.93, 0.76, 0.20), (0.25, 0.50, 0.80),
          (0.74, 0.77, 0.79), (0.90, 0.48, 0.16))  # fmt: skip
WAY, BANK = (0.235, 0.275, 0.315), (0.66, 0.64, 0.60)
WATER_BRIGHT, PLANKS = (0.16, 0.60, 0.70), (0.60, 0.44, 0.29)
PAVING, PAINT = (0.74, 0.72, 0.69), (0.97, 0.97, 0.96)
FEWEST = 4  # vehicles in a picture
CLEARANCE = 0.36  # of the side: no vehicle is nearer to the deciding place


@dataclass(frozen=True)
class Vehicle:
    """A car or a boat: nothing here depends on which."""

    centre: tuple[float, float]
    angle: float
    half_length: float
    half_width: float
    colour: Colour


@dataclass(frozen=True)
class Plan:
    """Where the ways and their end lie, before anything is painted (x, y in pixels)."""

    ways: tuple[Array, ...]
    half_width: float
    end: tuple[float, float]
    angle: float
    half_size: tuple[float, float]
    sun: tuple[float, float]


def draw(
    seed: int, split: int, index: int, size: int, *, water: bool | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The picture (size, size, 3) and its mask (size, size).

    `water` forces the kind of the ways; by default one picture of each pair (2 i, 2 i + 1) has
    canals.
    """
    canvas = Canvas(*_blank(size))
    out, turn, flip = _painted(canvas, seed, split, index, water)
    picture, mask = (_turned(array, turn, flip) for array in (out, canvas.mask))
    return picture, mask


def draw_layers(
    seed: int, split: int, index: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The same picture, and whole extents (7, size, size).

    These are those of building, road, tree, water, car, boat and shadow: what lies on top of a
    thing hides nothing of it.
    """
    canvas = Layers(*_blank(size), np.zeros((KINDS + 1, size, size), np.bool_))
    out, turn, flip = _painted(canvas, seed, split, index, None)
    extents = np.stack([_turned(extent, turn, flip) for extent in canvas.extents[1:]])
    return _turned(out, turn, flip), extents


def _blank(size: int) -> tuple[Array, NDArray[np.uint8]]:
    return np.zeros((size, size, 3), np.float32), np.full((size, size), GROUND, np.uint8)


def _turned(array: NDArray[Any], turn: int, flip: bool) -> NDArray[Any]:
    return np.ascontiguousarray(np.rot90(array[:, ::-1] if flip else array, turn))


def _painted(
    canvas: Canvas, seed: int, split: int, index: int, water: bool | None
) -> tuple[NDArray[np.uint8], int, bool]:
    """The picture, and how it and its masks are to be turned and mirrored."""
    size = canvas.size
    if water is None:
        first = np.random.default_rng([seed, split, index // 2, 1]).random() < 0.5
        water = bool(first) != bool(index % 2)
    rng = np.random.default_rng([seed, split, index, 0])
    vehicles: list[Vehicle] = []
    while len(vehicles) < FEWEST:
        plan = _plan(rng, size)
        vehicles = _place_vehicles(rng, size, plan)
    canvas.picture[...] = _ground(rng, size)
    label = WATER if water else ROAD
    ways = np.minimum.reduce([polyline(size, way) for way in plan.ways]) - plan.half_width
    whole = patch(size, plan.end, plan.angle, 2.0 * size)
    end = box(whole.along, whole.across, *plan.half_size)
    taken = np.minimum(ways, end)
    _pave(canvas, rng, plan, ways, taken, label)
    _end(canvas, rng, plan, end, label)
    _paint_vehicles(canvas, vehicles, BOAT if water else CAR)
    houses = place_houses(rng, plan.ways, plan.half_width, taken)
    trees = place_trees(rng, taken, houses)
    cast_shadows(canvas, plan.sun, houses, trees)
    paint_houses(canvas, rng, plan.sun, houses, BUILDING)
    paint_trees(canvas, rng, plan.sun, trees, TREE)
    light = rng.uniform(0.9, 1.06) * rng.uniform(0.97, 1.03, 3)
    grain = rng.standard_normal((size, size, 1), np.float32) * np.float32(0.012)
    picture = (canvas.picture * light.astype(np.float32) + grain) * np.float32(255)
    turn, flip = int(rng.integers(4)), bool(rng.integers(2))
    out = np.clip(picture, 0, 255).astype(np.uint8)
    return out, turn, flip


def _plan(rng: np.random.Generator, size: int) -> Plan:
    """The end near the top left corner, one way to the far border, and one or two branches."""
    end = rng.uniform(0.155, 0.20, 2)
    far = rng.uniform(0.45, 0.95)
    exit_ = (1.06, far) if rng.random() < 0.5 else (far, 1.06)
    bend = rng.uniform(-0.16, 0.16, (2, 2))
    along = np.array([end, end * 0.6 + np.array([0.5, 0.5]) * 0.4, (0.62, 0.62), exit_])
    along[1:3] += bend
    main = curve((along * size).astype(np.float32), 12)
    ways = [main]
    goals = [(-0.06, rng.uniform(0.68, 0.92)), (rng.uniform(0.68, 0.92), -0.06)]
    goals = [goals[i] for i in rng.permutation(2)[: rng.integers(1, 3)]]
    for goal in goals:
        start = main[rng.integers(6, 9)] / size
        middle = rng.uniform(-0.08, 0.08, (2, 2))
        bow = np.array([start, start * 0.55 + np.array(goal) * 0.3 + 0.12,
                        start * 0.2 + np.array(goal) * 0.65 + 0.10, goal])  # fmt: skip
        bow[1:3] += middle
        ways.append(curve((bow * size).astype(np.float32), 9))
    sun = rng.uniform(0, 2 * np.pi)
    half = rng.uniform((0.125, 0.10), (0.15, 0.125)) * size
    return Plan(
        ways=tuple(ways),
        half_width=float(rng.uniform(0.050, 0.062) * size),
        end=(float(end[0] * size), float(end[1] * size)),
        angle=float(rng.uniform(-0.35, 0.35) + rng.integers(2) * np.pi / 2),
        half_size=(float(half[0]), float(half[1])),
        sun=(float(np.cos(sun)), float(np.sin(sun))),
    )


def _ground(rng: np.random.Generator, size: int) -> Array:
    """A patchwork of fields with furrows and hedges."""
    count = int(rng.integers(7, 12))
    sites = rng.uniform(-0.1, 1.1, (count, 2)).astype(np.float32) * size
    position = np.arange(size, dtype=np.float32)
    wobble = noise(rng, size, 5) * np.float32(0.03 * size)
    x, y = position + wobble, position[:, None] - wobble
    field = np.zeros((size, size), np.intp)
    first, second = np.full((2, size, size), np.inf, np.float32)
    for i, (left, top) in enumerate(sites):
        distance = np.sqrt((x - left) ** 2 + (y - top) ** 2)
        field[distance < first] = i
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    colours = np.array(FIELDS, np.float32)[rng.integers(len(FIELDS), size=count)]
    colours += rng.uniform(-0.04, 0.04, (count, 3)).astype(np.float32)
    direction = rng.uniform(0, np.pi, count)
    pitch = 2 * np.pi / (rng.uniform(0.035, 0.06, count) * size)
    depth = rng.uniform(0.0, 0.035, count).astype(np.float32)
    rows = (np.cos(direction) * pitch).astype(np.float32)[field] * x
    rows += (np.sin(direction) * pitch).astype(np.float32)[field] * y
    tone = depth[field] * np.sin(rows) + np.float32(0.035) * noise(rng, size, 9)
    tone += rng.standard_normal((size, size), np.float32) * np.float32(0.016)
    hedge = np.clip(1 - (second - first) / np.float32(0.018 * size), 0, 1)
    return colours[field] + (tone - np.float32(0.09) * hedge)[..., None]


def _pave(
    canvas: Canvas, rng: np.random.Generator, plan: Plan, ways: Array, taken: Array, label: int
) -> None:
    """The dark ways with their pale banks: the same strokes for roads and canals."""
    everywhere = (slice(None), slice(None))
    bank = np.float32(0.016 * canvas.size)
    canvas.paint(taken - bank, np.array(BANK, np.float32), None, everywhere)
    tone = np.float32(0.022) * noise(rng, canvas.size, 14) - np.float32(0.03) * np.clip(
        (ways + np.float32(0.25 * plan.half_width)) / np.float32(0.25 * plan.half_width), 0, 1
    )
    canvas.paint(ways, np.array(WAY, np.float32) + tone[..., None], label, everywhere)


def _end(canvas: Canvas, rng: np.random.Generator, plan: Plan, distance: Array, label: int) -> None:
    """The place that decides: a harbour basin or a car park, painted inside one rectangle."""
    length, width = plan.half_size
    here = patch(canvas.size, plan.end, plan.angle, length + width)
    inside, along, across = distance[here.at], here.along, here.across
    draws = rng.uniform(0, 1, 4).tolist()
    wave, texture = np.float32(2 * np.pi / (0.045 * canvas.size)), noise(rng, canvas.size, 16)
    count = 3 + int(draws[0] > 0.5)
    if label == WATER:
        ripple = np.sin(wave * (along + np.float32(0.5) * across) + 6 * draws[1])
        ripple = ripple + np.sin(wave * (np.float32(0.8) * across - along) + 6 * draws[2])
        bright = np.float32(0.045) * ripple + np.float32(0.04) * texture[here.at]
        canvas.paint(inside, np.array(WATER_BRIGHT, np.float32) + bright[..., None], label, here.at)
        side = 1 if draws[3] > 0.5 else -1
        for i in range(count):
            centre = length * (2 * (i + 0.5) / count - 1)
            pier = box(along - centre, across - side * 0.45 * width, 0.055 * length, 0.55 * width)
            canvas.paint(np.maximum(pier, inside), np.array(PLANKS, np.float32), GROUND, here.at)
        return
    tone = np.float32(0.02) * texture[here.at]
    canvas.paint(inside, np.array(PAVING, np.float32) + tone[..., None], label, here.at)
    bay = 2 * length / (2 * count + 1)
    lines = np.abs(np.mod(along + length, bay) - bay / 2)
    for side in (-1, 1):
        row = np.abs(across - side * 0.62 * width) - 0.30 * width
        mark = np.maximum(np.float32(bay / 2 - 0.6) - lines, row)
        spine = np.maximum(np.abs(across - side * 0.92 * width) - 0.6, inside + 1)
        mark = np.minimum(np.maximum(mark, inside + 2), spine)
        canvas.paint(mark, np.array(PAINT, np.float32), None, here.at)


def _place_vehicles(rng: np.random.Generator, size: int, plan: Plan) -> list[Vehicle]:
    """Vehicles on the ways, far from the end, inside the picture, none touching another."""
    wanted, half = int(rng.integers(5, 9)), 0.055 * size
    placed: list[Vehicle] = []
    for _ in range(90):
        way = plan.ways[rng.integers(len(plan.ways))]
        step, part, side, bow = rng.uniform(0, 1, 4)
        i = int(step * (len(way) - 1))
        ahead = way[i + 1] - way[i]
        angle = float(np.arctan2(ahead[1], ahead[0]) + (np.pi if bow < 0.5 else 0))
        shift = (side - 0.5) * 0.5 * plan.half_width
        x, y = way[i] + part * ahead + shift * np.array([-np.sin(angle), np.cos(angle)])
        if not (1.2 * half < min(x, y) and max(x, y) < size - 1.2 * half):
            continue
        reach = np.hypot(x - plan.end[0], y - plan.end[1]) - np.hypot(*plan.half_size)
        near = any(np.hypot(x - v.centre[0], y - v.centre[1]) < 2.5 * half for v in placed)
        if near or reach < CLEARANCE * size:
            continue
        length = half * rng.uniform(0.92, 1.08)
        colour = BODIES[rng.integers(len(BODIES))]
        placed.append(
            Vehicle((float(x), float(y)), angle, length, length * rng.uniform(0.42, 0.48), colour)
        )
        if len(placed) == wanted:
            break
    return placed


def _paint_vehicles(canvas: Canvas, vehicles: list[Vehicle], label: int) -> None:
    """One shape for cars and boats: shadow, body with a narrowing front, cabin and roof."""
    for vehicle in vehicles:
        length, width = vehicle.half_length, vehicle.half_width
        colour = np.array(vehicle.colour, np.float32)
        here = patch(canvas.size, vehicle.centre, vehicle.angle, 1.5 * length)
        shade = hull(here.along + 0.1 * length, here.across + 0.12 * length, length, width)
        canvas.paint(shade, canvas.picture[here.at] * np.float32(0.7), None, here.at)
        body = hull(here.along, here.across, length, width)
        canvas.paint(body, colour, label, here.at)
        cabin = hull(here.along + 0.12 * length, here.across, 0.5 * length, 0.68 * width)
        canvas.paint(cabin, colour * np.float32(0.45) + np.float32(0.08), None, here.at)
        roof = hull(here.along + 0.22 * length, here.across, 0.26 * length, 0.5 * width)
        canvas.paint(roof, colour * np.float32(0.9), None, here.at)
