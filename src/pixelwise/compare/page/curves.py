"""Learning curves as small pictures, one for each mechanism."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from pixelwise.compare.outcome import Outcome
from pixelwise.pictures.colours import LINES
from pixelwise.pictures.figures import as_png, empty_figure

COLUMNS = 4
STYLES = (("-", "o", LINES[0]), ("--", "s", (70, 70, 70)), (":", "^", LINES[1]))
"""Of the mechanism, of none and of its control."""
FINE = 12
"""More panels than this are drawn with fewer pixels each."""


@dataclass(frozen=True)
class Curve:
    """Mean over seeds, and their standard deviation (0 with one)."""

    steps: Float64[ndarray, " n"]
    mean: Float64[ndarray, " n"]
    spread: Float64[ndarray, " n"]


def curve(runs: Sequence[Outcome]) -> Curve | None:
    """Of an arm's runs; None: none of them was evaluated on the way.

    Runs of the same wall time have different steps, so they are put together by the share of the
    run that is done.
    """
    each = []
    for run in runs:
        points = np.array([p for p in run.curve if np.isfinite(p[1])], float).reshape(-1, 2)
        if len(points):
            each.append((points[:, 0] / max(run.steps, 1), points[:, 1]))
    if not each:
        return None
    grid = max((shares for shares, _ in each), key=len)
    values = np.stack([np.interp(grid, shares, scores) for shares, scores in each])
    steps = float(np.mean([run.steps for run in runs])) * grid
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(grid))
    return Curve(steps, values.mean(axis=0), spread)


def learning_curves(
    panels: Mapping[str, Sequence[Curve | None]], unit: str, factor: float
) -> bytes:
    """A panel for each mechanism with the curves of itself, of none and of its control.

    Args:
        panels: By the mechanism's label.
        unit: Of the score.
        factor: From scores to that unit.
    """
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = empty_figure(2.7 * columns + 0.3, 2.1 * rows + 0.2)
    if len(panels) > FINE:
        figure.set_dpi(110)
    all_axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in all_axes.flat:
        axes.set_visible(False)
    for axes, (label, curves) in zip(all_axes.flat, panels.items(), strict=False):
        axes.set_visible(True)
        for one, (style, marker, colour) in reversed([*zip(curves, STYLES, strict=True)]):
            if one is None:
                continue
            ink = tuple(channel / 255 for channel in colour)
            mean, spread = factor * one.mean, factor * one.spread
            axes.fill_between(one.steps, mean - spread, mean + spread, color=ink, alpha=0.16, lw=0)
            axes.plot(one.steps, mean, style, color=ink, linewidth=1.4, marker=marker, markersize=3)
        axes.set_title(label, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in all_axes[:, 0]:
        axes.set_ylabel(unit, fontsize=8)
    for place in range(columns):  # the last of each column has the steps below it
        last = [axes for axes in all_axes[:, place] if axes.get_visible()][-1]
        last.tick_params(labelbottom=True)
    return as_png(figure)
