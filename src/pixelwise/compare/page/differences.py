"""Differences of every seed, with their mean and interval, as one picture."""

import math
from collections.abc import Mapping, Sequence

from pixelwise.compare.statistics import Effect
from pixelwise.pictures.colours import LINES
from pixelwise.pictures.figures import as_png, empty_figure

STYLES = (("o", LINES[0], 0.14), ("s", LINES[1], -0.14))
"""Mark, colour and place in the row: against none, and against the control."""


def differences(rows: Mapping[str, Sequence[Effect | None]], unit: str, factor: float) -> bytes:
    """A row for each mechanism; what is left of 0 is less than what it is compared with.

    Args:
        rows: Mechanism's label -> its differences from none and from its control.
        unit: Of the differences.
        factor: From scores to that unit.
    """
    figure = empty_figure(8.4, 0.9 + 0.36 * len(rows))
    axes = figure.subplots()
    axes.axvline(0, color="0.3", linewidth=1)
    for row, effects in enumerate(rows.values()):
        for effect, (marker, colour, up) in zip(effects, STYLES, strict=True):
            if effect is None:
                continue
            ink = tuple(channel / 255 for channel in colour)
            y = row - up
            seeds = [factor * one for one in effect.differences]
            axes.plot(seeds, [y] * len(seeds), "|", color=ink, markersize=7, alpha=0.8)
            if math.isfinite(effect.margin):
                ends = [factor * effect.low, factor * effect.high]
                axes.plot(ends, [y, y], color=ink, linewidth=1.6)
                axes.plot(
                    [factor * effect.mean],
                    [y],
                    marker,
                    color=ink,
                    markersize=6,
                    markerfacecolor=ink if marker == "o" else "white",
                )
    axes.set_xlim(*_range([one for each in rows.values() for one in each if one], factor))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [*rows], fontsize=9, parse_math=False)
    axes.set_xlabel(unit)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return as_png(figure)


def _range(effects: Sequence[Effect], factor: float) -> tuple[float, float]:
    """All seeds, and intervals as far as they do not press the seeds together."""
    seeds = [factor * one for effect in effects for one in effect.differences]
    low, high = min([0.0, *seeds]), max([0.0, *seeds])
    room = 1.5 * max(high - low, 1e-6)
    ends = [factor * end for one in effects for end in (one.low, one.high) if math.isfinite(end)]
    low = max(min([low, *ends]), low - room)
    high = min(max([high, *ends]), high + room)
    edge = 0.04 * (high - low) + 1e-9
    return low - edge, high + edge
