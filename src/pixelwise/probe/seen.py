"""The receptive fields of what is probed, with fresh weights, beside what it learned.

They are those of the middle of a map of about twice the size, so that they can reach as far as
the markers of the probe.
"""

from dataclasses import dataclass

import numpy as np

from pixelwise.language import mark, translate
from pixelwise.probe.asked import ProbeSettings
from pixelwise.probe.fields import effective, theoretical
from pixelwise.probe.subjects import Subject
from pixelwise.receptive import Energy

LARGEST = 63
"""Rows and columns of the map at most: all pairs of its pixels are computed in float64."""
ORDERS = {
    "local": mark("local"),
    "unordered": mark("unordered"),
    "lines": mark("lines"),
    "ordered": mark("ordered"),
}
"""How what comes from afar depends on its place, in a word."""
SHARE = 0.9
"""Of the gradient energy of other pixels, which lies within the effective radius."""


@dataclass(frozen=True)
class Seen:
    """The fields of a layer.

    Args:
        subject: Its name.
        reach: The largest distance of a pixel that can change the output, in rows or columns.
        side: Rows of the map on which that was looked for.
        shape: Which pixels these are, in words.
        order: "local", "unordered", "lines" or "ordered": whether it matters where they are.
        energy: Gradient energy of every pixel, row by row, of any scale.
        at: Row and column of the pixel that looks.
    """

    subject: str
    reach: int
    side: int
    shape: str
    order: str
    energy: tuple[tuple[float, ...], ...]
    at: tuple[int, int]

    @property
    def field(self) -> Energy:
        """The effective receptive field."""
        return Energy(self.at, np.array(self.energy, dtype=float))

    @property
    def radius(self) -> float:
        """As the crow flies, in pixels: where 90 % of the energy of other pixels lies."""
        return self.field.radius(SHARE)

    @property
    def reach_text(self) -> str:
        """For a table: >= where the field is as large as the map."""
        whole = self.reach >= self.side // 2
        return f"{'>=' if whole else ''}{self.reach} {translate(ORDERS[self.order])}"

    @property
    def radius_text(self) -> str:
        """For a table."""
        return "none" if self.field.is_local else f"{self.radius:.1f}"


def seen(subject: Subject, settings: ProbeSettings) -> Seen:
    """Look at a layer.

    Raises:
        InputError: The layer cannot take such a map.
    """
    side = min(LARGEST, 2 * settings.size - 1)
    module = subject.build(settings.channels)
    support = theoretical(module, settings.channels, (side, side))
    energy = effective(module, settings.channels, (side, side))
    values = energy.values / max(float(energy.values.max()), np.finfo(float).tiny)
    rows = tuple(tuple(float(f"{value:.3g}") for value in row) for row in values)
    return Seen(
        subject.name, support.reach, len(rows), support.told, support.order, rows, energy.at
    )
