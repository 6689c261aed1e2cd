"""Charts of a comparison as PNG; without words, so that they suit every language."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pixelwise.pictures.colours import LINES
from pixelwise.pictures.figures import as_png, empty_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHAPES = "osD^vPX*<>ph"
GREY = "0.45"
WIDE = 4.0
"""Costs that differ by more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Point:
    """An arm's mean score and its cost.

    Args:
        label: Beside it; empty for none.
        x: Its cost.
        y: Its mean score.
        low: Lower end of the score's interval; minus infinity with one seed.
        high: Upper end.
        number: Of its shape and colour; -1: black.
        control: Whether it is drawn hollow.
    """

    label: str
    x: float
    y: float
    low: float
    high: float
    number: int
    control: bool = False


def trade_off(
    points: Sequence[Point], x: str, y: str, *, larger: bool, wide: bool = False
) -> bytes:
    """Scores against costs, with the line of those that none beats in both.

    Args:
        points: At least one.
        x: Unit of the cost.
        y: Unit of the score.
        larger: Whether a larger score is better.
        wide: Whether there are many points.
    """
    figure = empty_figure(*((9.5, 6.0) if wide else (5.8, 4.4)))
    axes = figure.subplots()
    front = frontier(points, larger=larger)
    axes.plot([p.x for p in front], [p.y for p in front], "--", color=GREY, linewidth=1.2, zorder=1)
    for point in points:
        _draw(axes, point)
    if min(p.x for p in points) > 0 and max(p.x for p in points) > WIDE * min(p.x for p in points):
        axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_ylim(*_range(points))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.draw_without_rendering()
    _write_labels(axes, points)
    return as_png(figure)


def frontier(points: Sequence[Point], *, larger: bool) -> list[Point]:
    """Points that no other one beats in cost without losing score, cheapest first."""
    sign = 1 if larger else -1
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -sign * p.y)):
        if not found or sign * point.y > sign * found[-1].y:
            found.append(point)
    return found


def shape(number: int) -> tuple[str, tuple[float, ...] | str]:
    """Marker and colour of that number; the first 72 differ."""
    if number < 0:
        return "o", "black"
    n = len(SHAPES)
    colour = LINES[(number + number // n) % len(LINES)]
    return SHAPES[number % n], tuple(channel / 255 for channel in colour)


def _draw(axes: "Axes", point: Point) -> None:
    marker, colour = shape(point.number)
    if np.isfinite(point.low) and np.isfinite(point.high):
        axes.plot([point.x] * 2, [point.low, point.high], color=colour, alpha=0.55, linewidth=1.1)
    axes.plot(
        [point.x],
        [point.y],
        marker,
        color=colour,
        markersize=(6 if point.control else 8) + 3 * (marker == "*"),
        markerfacecolor="white" if point.control else colour,
        markeredgecolor=colour,
        zorder=3,
    )


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """All means, and bars as far as they do not press the means together."""
    means = [p.y for p in points]
    low, high = min(means), max(means)
    room = max(1.5 * (high - low), 0.02 * abs(high), 1e-3)
    ends = [e for p in points for e in (p.low, p.high) if np.isfinite(e)]
    low_end = max(min([low, *ends]), low - room)
    high_end = min(max([high, *ends]), high + room)
    edge = 0.06 * (high_end - low_end) + 1e-6
    return low_end - edge, high_end + edge


PLACES = (
    (9, 0),
    (9, 8),
    (9, -8),
    (0, 12),
    (0, -12),
    (-9, 0),
    (-9, 8),
    (-9, -8),
    (16, 18),
    (-16, -18),
)
"""Where a label may stand, in points from its mark."""


def _write_labels(axes: "Axes", points: Sequence[Point]) -> None:
    """Each beside its mark, at the place that is freest."""
    scale = axes.figure.dpi / 72
    marks = axes.transData.transform([(p.x, p.y) for p in points]).tolist()
    taken = [(x - 5 * scale, y - 5 * scale, x + 5 * scale, y + 5 * scale) for x, y in marks]
    frame = [*axes.bbox.extents]
    for point, (x, y) in zip(points, marks, strict=True):
        if not point.label:
            continue
        width, height = 5.2 * scale * len(point.label), 10 * scale
        boxes = []
        for right, up in PLACES:
            left = x + right * scale - (0 if right > 0 else width if right < 0 else width / 2)
            bottom = y + up * scale - height / 2
            boxes.append((left, bottom, left + width, bottom + height))
        costs = [
            sum(_overlap(box, one) for one in taken) + width * height - _overlap(box, frame)
            for box in boxes
        ]
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        right, up = PLACES[best]
        axes.annotate(
            point.label,
            (point.x, point.y),
            (right, up),
            textcoords="offset points",
            ha="left" if right > 0 else "right" if right < 0 else "center",
            va="center",
            fontsize=8.5,
            parse_math=False,
            zorder=4,
        )


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)
