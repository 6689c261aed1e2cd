"""Charts of probabilities: whether they are right, and what a threshold of them brings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from pixelwise.pictures.colours import line
from pixelwise.pictures.figures import as_png, empty_figure


def reliability(
    confidence: Sequence[float | None], right: Sequence[float | None], share: Sequence[float]
) -> bytes:
    """How often pixels are right, over how sure their class was.

    Args:
        confidence: Mean probability per bin, 0 to 1; None for an empty one.
        right: Share of right pixels per bin, likewise.
        share: Share of all pixels per bin.
    """
    figure = empty_figure(5.2, 4.4)
    axes = figure.subplots()
    count = len(share)
    places = (np.arange(count) + 0.5) / count
    axes.bar(
        100 * places, 100 * np.array(share), 100 / count, color="0.85", label="share of all pixels"
    )
    axes.plot([0, 100], [0, 100], color="0.4", linestyle=":", label="as sure as right")
    known = [(c, r) for c, r in zip(confidence, right, strict=True) if c is not None]
    colour, style = line(0)
    axes.plot(
        *(100 * np.array(known).reshape(-1, 2).T.astype(float)),
        style,
        color=colour,
        marker="o",
        label="right pixels",
    )
    axes.set(xlim=(0, 100), ylim=(0, 101), xlabel="mean probability, %", ylabel="%")
    _finish(axes)
    return as_png(figure)


def over_threshold(
    thresholds: Float[np.ndarray, " t"],
    curves: Mapping[str, Float[np.ndarray, " t"]],
    marks: Mapping[str, float],
) -> bytes:
    """Shares over the threshold that gives them, in percent.

    Args:
        thresholds: Rising.
        curves: What is drawn, by name, 0 to 1.
        marks: Thresholds that are marked, by what they are.
    """
    figure = empty_figure(5.2, 4.4)
    axes = figure.subplots()
    for number, (name, values) in enumerate(curves.items()):
        colour, style = line(number)
        axes.plot(thresholds, 100 * values, style, color=colour, linewidth=1.8, label=name)
    for number, (name, at) in enumerate(marks.items()):
        axes.axvline(at, color="0.3", linestyle=(":", "--")[number % 2], label=f"{name} {at:g}")
    axes.set(xlim=(0, 1), ylim=(0, 101), xlabel="threshold", ylabel="%")
    _finish(axes)
    return as_png(figure)


def difference_chart(
    rows: Sequence[tuple[str, float, tuple[float, float] | None]], label: str
) -> bytes:
    """Differences with their intervals, a row each, the first on top.

    Args:
        rows: Name, difference, and the ends of its interval.
        label: What the axis tells.
    """
    figure = empty_figure(6.4, 1.0 + 0.3 * max(3, len(rows)))
    axes = figure.subplots()
    colour, _ = line(0)
    for place, (_, value, ends) in enumerate(rows):
        if ends is not None:
            axes.plot(ends, [place, place], color=colour, linewidth=2.2)
        axes.plot([value], [place], marker="o", color=colour)
    axes.axvline(0, color="0.3", linestyle=":")
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows], fontsize=9, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    return as_png(figure)


def _finish(axes: Any) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
