"""Ratios as bars, growth as lines: PNG bytes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pixelwise.benchmarks.rows import Row
from pixelwise.pictures.colours import LINES
from pixelwise.pictures.figures import as_png, empty_figure

COLOURS = [tuple(channel / 255 for channel in colour) for colour in LINES]
GREY = "0.45"
BAR, APART = 0.17, 0.14
"""Inches of a bar, and between the bars of two cases."""
Exponents = Mapping[tuple[str, str, str], object]
"""(name, mode, form) -> the exponent that was fitted, or "" where there is none."""


def ratio_bars(rows: Sequence[Row]) -> bytes:
    """Each form's time over ours, a bar per case, size and form; a panel per mode, log axis."""
    rows = [row for row in rows if row.ratio and not row.is_ours]
    modes = list(dict.fromkeys(row.mode for row in rows))
    forms = list(dict.fromkeys(row.form for row in rows))
    several = len({row.size.split("x", 1)[1] for row in rows}) > 1
    places: dict[tuple[str, str], float] = {}
    middles: dict[str, float] = {}
    below = 0.0
    for name in dict.fromkeys(_label(row, several) for row in rows):
        here = [
            form
            for form in forms
            if any((_label(r, several), r.form) == (name, form) for r in rows)
        ]
        places |= {(name, form): below + (i + 0.5) * BAR for i, form in enumerate(here)}
        middles[name] = below + len(here) * BAR / 2
        below += len(here) * BAR + APART
    figure = empty_figure(2.6 + 3.6 * max(len(modes), 1), 1.2 + max(below, 0.6))
    if not rows:
        figure.text(0.5, 0.5, "nothing to compare with", ha="center")
        return as_png(figure)
    panels = figure.subplots(1, len(modes), sharey=True, squeeze=False)[0]
    for axes, mode in zip(panels, modes, strict=True):
        for i, form in enumerate(forms):
            found = [row for row in rows if (row.mode, row.form) == (mode, form)]
            bars = [(places[_label(row, several), form], row.ratio or math.nan) for row in found]
            axes.barh(
                [place for place, _ in bars],
                [ratio - 1 for _, ratio in bars],
                0.9 * BAR,
                left=1,
                color=COLOURS[i % len(COLOURS)],
                label=form,
            )
            for place, ratio in bars:
                _beside(axes, place, ratio)
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.5) / 1.4, max(high, 2) * 1.6)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_title(mode, fontsize=11)
        axes.set_xlabel("time / our time")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.grid(alpha=0.3, axis="x")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks([*middles.values()], [*middles], fontsize=8)
    panels[0].set_ylim(below, -APART)
    if len(forms) > 1:
        panels[-1].legend(frameon=False, fontsize=8, loc="lower right")
    return as_png(figure)


def growth_lines(rows: Sequence[Row], column: str, title: str, exponents: Exponents) -> bytes:
    """`column` against pixels on two log axes: a panel per case and mode, forms as lines.

    Args:
        rows: Of all cases.
        column: "median_ms", beside which the floor is dashed, or "peak_mb".
        title: Of the vertical axis.
        exponents: For the legend.
    """
    panels = list(dict.fromkeys((row.name, row.mode) for row in rows))
    forms = list(dict.fromkeys(row.form for row in rows))
    columns = min(len(panels), 2 if len(panels) <= 6 else 4) or 1
    lines = -(-len(panels) // columns) or 1
    figure = empty_figure(4.4 * columns, 3.4 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, (name, mode) in zip(grid, panels, strict=False):
        here = [row for row in rows if (row.name, row.mode) == (name, mode)]
        for i, form in enumerate(forms):
            points = [
                (row.pixels, getattr(row, column))
                for row in here
                if row.form == form and (getattr(row, column) or 0) > 0
            ]
            if not points:
                continue
            found = exponents.get((name, mode, form), "")
            label = form if found == "" else f"{form}: pixels$^{{{float(str(found)):.2f}}}$"
            style = {"marker": "os^D"[i % 4], "markersize": 4, "linewidth": 1.8}
            axes.plot(
                *zip(*points, strict=True), color=COLOURS[i % len(COLOURS)], label=label, **style
            )
        if column == "median_ms":
            floor = sorted({(row.pixels, row.floor_ms) for row in here})
            if floor:
                axes.plot(*zip(*floor, strict=True), "--", color=GREY, label="floor", linewidth=1.2)
        _log_log(axes, f"{name}, {mode}", title)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return as_png(figure)


def _log_log(axes: Any, title: str, label: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set_xlabel("pixels")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _beside(axes: Any, place: float, ratio: float) -> None:
    text = f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.2g}" if ratio >= 10 else f"{ratio:.2f}"
    at = ratio * 1.05 if ratio >= 1 else 1.05
    axes.text(at, place, text, va="center", fontsize=7)


def _label(row: Row, several: bool) -> str:
    return f"{row.name}  {row.size}" if several else row.name
