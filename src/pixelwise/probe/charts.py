"""Accuracy against distance as PNG bytes: lines for a few layers, shaded cells for many."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pixelwise.pictures.colours import line
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.probe.reach import Curve
from pixelwise.probe.variants import VARIANTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 8
"""So many layers are told apart as lines."""
DARK = 0.45
"""Below this share of the scale, letters are white."""


def accuracy_chart(curves: Sequence[Curve]) -> bytes:
    """A panel for each variant."""
    variants = list(dict.fromkeys(one.variant for one in curves))
    subjects = list(dict.fromkeys(one.subject for one in curves))
    by_name = {(one.subject, one.variant): one for one in curves}
    columns = min(2, len(variants))
    rows = -(-len(variants) // columns)
    few = len(subjects) <= FEW
    height = 3.4 if few else 1.2 + 0.24 * len(subjects)
    figure = empty_figure(6.2 * columns, height * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(variants) :]:
        panel.set_axis_off()
    for panel, variant in zip(panels, variants, strict=False):
        found = [by_name[s, variant] for s in subjects if (s, variant) in by_name]
        panel.set_title(f"{variant}: {VARIANTS[variant].question}", fontsize=10)
        (_lines if few else _cells)(panel, found, subjects)
    if few:
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=9)
    return as_png(figure)


def _lines(axes: "Axes", curves: Sequence[Curve], subjects: Sequence[str]) -> None:
    for one in curves:
        number = subjects.index(one.subject)
        colour, style = line(number)
        known = [point for point in one.points if point.accuracy is not None]
        x = [point.distance for point in known]
        axes.fill_between(
            x, [100 * p.low for p in known], [100 * p.high for p in known], color=colour, alpha=0.15
        )
        axes.plot(
            x,
            [100 * (p.accuracy or 0.0) for p in known],
            style,
            color=colour,
            marker="os^Dv<>P"[number % 8],
            markersize=4,
            linewidth=1.6,
            label=one.subject.replace("$", r"\$"),
        )
    chance = 100 * VARIANTS[curves[0].variant].chance
    axes.axhline(chance, color="0.5", linewidth=0.8, linestyle=":")
    axes.axhline(100 * curves[0].threshold, color="0.5", linewidth=0.8, linestyle="--")
    distances = [point.distance for point in curves[0].points]
    axes.set_xscale("log", base=2)
    axes.set_xticks(distances, [str(d) for d in distances])
    axes.minorticks_off()
    axes.set(ylim=(0, 103), xlabel="distance, pixels", ylabel="pixels right, %")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _cells(axes: "Axes", curves: Sequence[Curve], subjects: Sequence[str]) -> None:
    chance = VARIANTS[curves[0].variant].chance
    distances = [point.distance for point in curves[0].points]
    cells = np.array(
        [[np.nan if p.accuracy is None else p.accuracy for p in one.points] for one in curves]
    )
    axes.imshow(cells, cmap="cividis", vmin=chance, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(cells):
        if not np.isnan(value):
            ink = "white" if (value - chance) / (1 - chance) < DARK else "black"
            axes.text(
                column, row, f"{100 * value:.0f}", ha="center", va="center", color=ink, size=7
            )
    axes.set_xticks(range(len(distances)), [str(d) for d in distances], fontsize=8)
    names = [one.subject for one in curves]
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.set_xlabel(f"distance, pixels (cells: % of pixels right; chance: {100 * chance:.0f} %)")
    axes.tick_params(length=0)
