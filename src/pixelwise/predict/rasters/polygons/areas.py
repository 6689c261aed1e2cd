"""How many pixels and how much area each class has."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray

from pixelwise.predict.rasters.polygons.ground import Ground

COLUMNS = ("class", "name", "pixels", "area", "share", "polygons", "unit")
MANY = 2**16


class Areas:
    """Counts pixels, strip by strip.

    Args:
        ground: Where they are.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._pixels: Counter[int] = Counter()
        self._areas: dict[int, float] = {}
        self.seen = 0
        """Pixels that have data."""

    def add(self, top: int, classes: ndarray, counted: ndarray) -> None:
        """Some rows of pixels (rows, columns).

        Args:
            top: The first of them.
            classes: What they are.
            counted: Those that count.
        """
        every = bool(counted.all())
        values = classes.ravel() if every else classes[counted]
        if not len(values):
            return
        known: ndarray | None = None
        if int(values.min()) < 0 or int(values.max()) >= MANY:
            known, values = np.unique(values, return_inverse=True)
        pixels = np.bincount(values)
        areas: ndarray = pixels * self._ground.pixel
        if self._ground.angles:
            sizes = self._ground.pixels(top, *classes.shape)
            areas = np.bincount(values, sizes.ravel() if every else sizes[counted])
        for place in np.flatnonzero(pixels).tolist():
            value = place if known is None else int(known[place])
            self._pixels[value] += int(pixels[place])
            self._areas[value] = self._areas.get(value, 0.0) + float(areas[place])

    def table(
        self, known: Iterable[int], name: Callable[[int], str], polygons: Mapping[int, int]
    ) -> str:
        """All classes as CSV.

        Args:
            known: Classes that have a line, with pixels or without.
            name: Of a class.
            polygons: How many each class has that was drawn.
        """
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(COLUMNS)
        for value in sorted({*known, *self._pixels}):
            pixels = self._pixels[value]
            share = f"{pixels / self.seen:.6f}" if self.seen else ""
            area = self._areas.get(value, 0.0)
            count = polygons.get(value, "")
            lines.writerow([value, name(value), pixels, area, share, count, self._ground.unit])
        return text.getvalue()


def is_ours(path: Path) -> bool:
    """Whether a file is such a table."""
    with path.open("rb") as file:
        return file.readline(200).rstrip() == ",".join(COLUMNS).encode()
