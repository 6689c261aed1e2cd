"""Effective receptive fields side by side.

Colours are logarithmic, from a millionth of the largest energy of another pixel to that. They rise
in lightness, so that they can be told apart without hues, and in print.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pixelwise.errors import InputError
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.receptive import Energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 6
DECADES = 6
"""Energies this many powers of ten below the largest have the darkest colour."""
SMALL = 2
"""Circles of fewer pixels would hide the field."""
NOTHING = "0.85"
"""Grey of pixels without energy."""


def fields_picture(fields: Mapping[str, Energy], columns: int = COLUMNS) -> bytes:
    """Small multiples: energy of other pixels, and the radii that hold 50 % and 90 % of it.

    Args:
        fields: By name, in the order in which they are drawn.
        columns: Pictures beside each other.

    Raises:
        InputError: There is nothing to draw.
    """
    if not fields:
        raise InputError("fields={}: must hold at least one field; name a layer")
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    wide = min(columns, len(fields))
    high = -(-len(fields) // wide)
    figure = empty_figure(1.75 * wide + 0.9, 2.1 * high + 0.3)
    panels = figure.subplots(high, wide, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, (name, field) in zip(panels.flat, fields.items(), strict=False):
        _draw(axes, name, field)
    scale = ScalarMappable(Normalize(-DECADES, 0), "viridis")
    bar = figure.colorbar(scale, ax=panels, shrink=min(1.0, 3 / high), aspect=25, pad=0.015)
    bar.set_ticks(range(-DECADES, 1, 2), labels=[f"$10^{{{d}}}$" for d in range(-DECADES, 1, 2)])
    bar.set_label("energy of a pixel,\nshare of the largest", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return as_png(figure)


def _draw(axes: "Axes", name: str, field: Energy) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Circle, Rectangle

    values = field.values.copy()
    values[field.at] = 0
    row, column = field.at
    height, width = values.shape
    known = values > 0
    largest = values.max(initial=np.finfo(float).tiny)
    shown = np.ma.masked_array(np.log10(np.where(known, values, largest) / largest), ~known)
    colours = colormaps["viridis"].with_extremes(bad=NOTHING)
    axes.imshow(shown, cmap=colours, vmin=-DECADES, vmax=0, interpolation="nearest")
    told = "no gradient from elsewhere"
    if not field.is_local:
        radii = field.radius(0.5), field.radius(0.9)
        told = f"50 % {radii[0]:.1f} px, 90 % {radii[1]:.1f} px"
        for radius, line in zip(radii, ("--", "-"), strict=True):
            if radius < SMALL:
                continue
            for colour, thick in (("black", 1.8), ("white", 0.8)):
                circle = Circle(
                    (column, row), radius, fill=False, ls=line, color=colour, linewidth=thick
                )
                axes.add_patch(circle)
    side = max(1.0, math.ceil(max(height, width) / 40))
    axes.add_patch(
        Rectangle(
            (column - side / 2, row - side / 2), side, side, facecolor="white", edgecolor="black"
        )
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_title(f"{name}\n", fontsize=9, parse_math=False, pad=2)
    axes.text(
        0.5, 1.02, told, transform=axes.transAxes, ha="center", va="bottom", fontsize=6.5,
        parse_math=False,
    )  # fmt: skip
