"""Draws curves as SVG in the style of the figures: few lines, named at their ends."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 330.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 22.0, 26.0, 38.0


@dataclass(frozen=True)
class Curve:
    """Points to be joined."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: str
    """Of `chart-1`, `chart-2`, `chart-3` and `chart-0`, the quiet one."""


@dataclass(frozen=True)
class Axis:
    """What is along an axis, and where it has ticks."""

    title: str
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the first tick (0) and the last (1)."""
        low, high, here = (self._scaled(v) for v in (self.ticks[0][0], self.ticks[-1][0], value))
        return (here - low) / (high - low)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.logarithmic else value


def powers(values: Sequence[float], title: str) -> Axis:
    """A logarithmic axis with a tick for each power of ten around the values."""
    low = math.floor(math.log10(min(values)) + 1e-9)
    high = max(math.ceil(math.log10(max(values)) - 1e-9), low + 1)
    ticks = [(10.0**power, _short(10.0**power)) for power in range(low, high + 1)]
    return Axis(title, ticks, logarithmic=True)


def chart(title: str, across: Axis, up: Axis, curves: Sequence[Curve], name: str) -> str:
    """Curves as an SVG element; its description has all points.

    Args:
        title: What it shows.
        across: The axis below.
        up: The axis at the left.
        curves: What is drawn.
        name: Tells the drawing apart from others on a page.
    """

    def x(value: float) -> float:
        return LEFT + across.share(value) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - up.share(value) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text class="chart-title" x="4" y="14">{escape(title)}</text>']
    for value, label in up.ticks:
        parts.append(f'<path class="chart-grid" d="M{LEFT:g} {y(value):.1f} H{WIDTH - RIGHT:g}"/>')
        parts.append(
            f'<text class="chart-up" x="{LEFT - 5:g}" y="{y(value) + 3.5:.1f}">{label}</text>'
        )
    for value, label in across.ticks:
        place = f'x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 15:g}"'
        parts.append(f'<text class="chart-across" {place}>{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="chart-across" x="{middle:g}" y="{HEIGHT - 6:g}">{escape(across.title)}'
        "</text>"
    )
    for curve in curves:
        places = [f"{x(one):.1f} {y(two):.1f}" for one, two in curve.points]
        parts.append(f'<path class="chart-line {curve.kind}" d="M{" L".join(places)}"/>')
        if len(places) <= 12:
            dots = (place.split() for place in places)
            parts += [
                f'<circle class="chart-dot {curve.kind}" cx="{cx}" cy="{cy}" r="2.6"/>'
                for cx, cy in dots
            ]
    parts += _names(curves, y)
    says = "; ".join(
        f"{curve.name}: " + ", ".join(f"{one:g} {two:.4g}" for one, two in curve.points)
        for curve in curves
    )
    return "\n".join(
        [
            f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" role="img"'
            f' viewBox="0 0 {WIDTH:g} {HEIGHT:g}" aria-labelledby="{name}-title {name}-says">',
            f'<title id="{name}-title">{escape(title)}</title>',
            f'<desc id="{name}-says">{escape(f"{across.title}, {up.title}. {says}")}</desc>',
            *parts,
            "</svg>",
        ]
    )


def _names(curves: Sequence[Curve], y: Callable[[float], float]) -> list[str]:
    """The curves' names over the right ends, apart from each other."""
    parts: list[str] = []
    taken: list[float] = []
    for curve in sorted(curves, key=lambda curve: -curve.points[-1][1]):
        place = y(curve.points[-1][1]) - 6
        while any(abs(place - other) < 12 for other in taken):
            place += 3
        taken.append(place)
        parts.append(
            f'<text class="chart-name {curve.kind}" x="{WIDTH - RIGHT:g}" y="{place:.1f}">'
            f"{escape(curve.name)}</text>"
        )
    return parts


def _short(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
