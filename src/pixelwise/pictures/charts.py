"""Charts as PNG bytes; matplotlib is imported when one is drawn, its global state left alone."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from jaxtyping import Integer

from pixelwise.pictures.colours import line
from pixelwise.pictures.figures import as_png, empty_figure

Rows = Sequence[Mapping[str, object]]
"""Rows of a metrics.csv: column -> number, number as text, or None or "" where there is none."""

PANELS = (
    ("loss", "loss", 1.0),
    ("lr", "learning rate", 1.0),
    ("miou", "mean IoU, % of union", 100.0),
    ("mean_error", "mean error, pixels", 1.0),
    ("mae", "mean absolute error", 1.0),
)
"""Column, title and factor of each panel of `curves`."""
_DENSE = 200  # points of a curve; more of them are averaged in groups of equal size
_MANY = 12  # from here on a confusion matrix has no room for numbers in its cells


def curves(runs: Mapping[str, Rows], *, x: str = "step") -> bytes:
    """Loss, learning rate and mean IoU (a fraction, drawn in percent) or error of runs.

    Args:
        runs: Rows with the column `x` and any of `PANELS`, by the run's name. A
            column that no run has gets no panel; cells without a number are passed over. More than
            200 points are averaged in groups.
        x: The column along the horizontal axis.
    """
    lines = {
        title: {name: _points(rows, x, column, factor) for name, rows in runs.items()}
        for column, title, factor in PANELS
    }
    lines = {title: found for title, found in lines.items() if any(map(len, found.values()))}
    figure = empty_figure(4.4 * max(1, len(lines)), 3.2)
    if not lines:
        figure.text(0.5, 0.5, "no numbers recorded", ha="center")
        return as_png(figure)
    for axes, (title, found) in zip(
        figure.subplots(1, len(lines), squeeze=False)[0], lines.items(), strict=True
    ):
        for i, (name, points) in enumerate(found.items()):
            if not points:
                continue
            colour, style = line(i)
            axes.plot(
                *zip(*points, strict=True),
                style,
                color=colour,
                marker="os^D"[i % 4] if len(points) <= 30 else None,
                markersize=4,
                linewidth=1.8,
                label=name,
            )
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(x)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(runs) > 1:
            axes.legend(frameon=False, fontsize=9)
    return as_png(figure)


def _points(rows: Rows, x: str, column: str, factor: float) -> list[tuple[float, float]]:
    pairs = ((_number(row.get(x)), _number(row.get(column)) * factor) for row in rows)
    points = [pair for pair in pairs if all(map(math.isfinite, pair))]
    size = -(-len(points) // _DENSE)
    groups = [points[i : i + size] for i in range(0, len(points), max(1, size))]
    return [(fmean(x for x, _ in group), fmean(y for _, y in group)) for group in groups]


def _number(cell: object) -> float:
    return math.nan if cell is None or cell == "" else float(str(cell))


def confusion_matrix(matrix: Integer[np.ndarray, "k k"], names: Sequence[str]) -> bytes:
    """Percent of each true class's pixels that were predicted as each class.

    Rows are the truth and sum to 100; a class without truth pixels is hatched and called absent.
    """
    count = len(matrix)
    pixels = matrix.sum(1, keepdims=True)
    percent = 100 * matrix / np.maximum(pixels, 1)
    side = min(12.0, 2.6 + 0.5 * count)
    figure = empty_figure(side + 0.8, side)
    axes = figure.subplots()
    drawn = axes.imshow(np.where(pixels > 0, percent, np.nan), cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(drawn, ax=axes, label="% of the true class's pixels", shrink=0.8)
    for row in range(count):
        if pixels[row] == 0:
            axes.axhspan(row - 0.5, row + 0.5, facecolor="0.92", edgecolor="0.6", hatch="////")
            place = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            axes.text((count - 1) / 2, row, "absent", ha="center", va="center", bbox=place)
        elif count <= _MANY:
            for column, value in enumerate(percent[row]):
                ink = "white" if value > 55 else "black"
                text = "0" if matrix[row, column] == 0 else f"{value:.1f}"
                axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    size = 9 if count <= 30 else 5
    axes.set_xticks(range(count), names, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(range(count), names, fontsize=size, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    return as_png(figure)


def precision_over_recall(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Precision over recall, in percent, while the threshold of a class's probability changes.

    Args:
        curves: Recall and precision at rising thresholds by the class's name; the first 8 are
            drawn.
    """
    figure = empty_figure(5.2, 4.4)
    axes = figure.subplots()
    for i, (name, (recall, precision)) in enumerate(list(curves.items())[:8]):
        colour, style = line(i)
        label = name.replace("$", r"\$")
        axes.plot(100 * recall, 100 * precision, style, color=colour, linewidth=1.8, label=label)
    axes.set(xlim=(0, 101), ylim=(0, 101), xlabel="recall, %", ylabel="precision, %")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(frameon=False, fontsize=9)
    return as_png(figure)
