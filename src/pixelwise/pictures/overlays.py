"""One map over a picture.

The picture is grey below the map's colours, which differ in lightness as well as in hue. A map that
leaves out most pixels tints only those that it holds.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.pictures.types import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CLIP = 99.5  # percentile of a map's values at which its colours end
SPARSE = 0.5
"""From this share of zeros on, zeros are not tinted."""


@dataclass(frozen=True)
class Panel:
    """One map to draw over the picture.

    Args:
        title: Names it; shortened from the left where it is long.
        values: The map, at any resolution.
        unit: What the colours mean, beside the colour bar.
        note: A second line below the title.
        covers: Rows and columns of the picture that the map lies on, from the upper left corner;
            those of a padded picture reach beyond it. None is the picture.
    """

    title: str
    values: Float[np.ndarray, "_ _"]
    unit: str
    note: str = ""
    covers: tuple[float, float] | None = None


def map_overlay(
    image: Picture,
    weights: Float[np.ndarray, "map_h map_w"],
    at: tuple[int, int] | None = None,
    *,
    label: str = "weight",
) -> bytes:
    """Where a layer looks: its map over the picture in grey, with a colour bar.

    Args:
        image: The picture.
        weights: The map, at any resolution.
        at: (row, column) of the query in the picture, marked by a cross.
        label: What the colours mean, with its unit; beside the colour bar.
    """
    height, width = image.shape[:2]
    figure = empty_figure(5.2, max(1.2, 4.2 * height / width + 0.2))
    axes = figure.subplots()
    draw_overlay(axes, image, Panel("", weights, label))
    if at is not None:
        mark_query(axes, at)
    axes.set_axis_off()
    return as_png(figure)


def draw_overlay(axes: "Axes", image: Picture, panel: Panel) -> None:
    """The picture in grey, the map over it and its colour bar at its right."""
    height, width = image.shape[:2]
    rows, columns = panel.covers or (float(height), float(width))
    values = panel.values.astype(np.float64)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    power = 0 if -3 < power < 4 else power
    values = values / 10.0**power
    low, high = colour_limits(values)
    zeros = np.abs(values) <= 1e-6 * largest / 10.0**power
    sparse = zeros.mean() > SPARSE
    shown = np.ma.masked_array(values, zeros) if sparse else _smooth(values, rows, columns)
    axes.imshow(image.mean(2), cmap="gray", vmin=-60, vmax=315)
    drawn = axes.imshow(
        shown,
        cmap="PuOr_r" if low < 0 else "viridis",
        vmin=low,
        vmax=high,
        alpha=0.85 if sparse else 0.65,
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
        interpolation="nearest",
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    slack = 1e-6 * (high - low)
    below, above = values.min() < low - slack, values.max() > high + slack
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    unit = f"{panel.unit}, 1e{power}" if power else panel.unit
    bar = axes.inset_axes((1.025, 0, 0.04, 1))
    axes.figure.colorbar(drawn, cax=bar, extend=extend).set_label(unit, fontsize=8)
    bar.tick_params(labelsize=7.5)
    bar.locator_params(nbins=5)


def colour_limits(values: Float[np.ndarray, "..."]) -> tuple[float, float]:
    """Values where the colours begin and end."""
    flat = values[np.isfinite(values)].astype(np.float64)
    largest = np.abs(flat).max(initial=0)
    flat = flat[np.abs(flat) > 1e-6 * largest]
    if not len(flat):
        return 0.0, 1.0
    low, high = (float(p) for p in np.percentile(flat, (100 - _CLIP, _CLIP)))
    if low < 0:
        ends = max(-low, high)
        return -ends, ends
    if low < high / 2 or len(flat) < values.size:
        return 0.0, high
    middle, half = (low + high) / 2, max(high - low, 0.1 * high) / 2
    return middle - half, middle + half


def _smooth(
    values: Float[np.ndarray, "_ _"], height: float, width: float
) -> Float[np.ndarray, "_ _"]:
    """The map at a size fit to be seen, without steps between its cells."""
    scale = min(1.0, 640 / max(height, width))
    size = (max(1, math.ceil(width * scale)), max(1, math.ceil(height * scale)))
    shown = Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(shown, np.float64)


def mark_query(axes: "Axes", at: tuple[int, int]) -> None:
    """A cross that leaves its middle open and shows on light and dark."""
    from matplotlib.path import Path

    strokes = [(-1, 0), (-0.3, 0), (0.3, 0), (1, 0), (0, -1), (0, -0.3), (0, 0.3), (0, 1)]
    mark = Path(strokes, [Path.MOVETO, Path.LINETO] * 4)
    row, column = at
    for colour, thick in (("black", 4.0), ("white", 1.8)):
        style: dict[str, Any] = {
            "markerfacecolor": "none",
            "markeredgecolor": colour,
            "markeredgewidth": thick,
        }
        axes.plot(column, row, linestyle="", marker=mark, markersize=17, **style)
