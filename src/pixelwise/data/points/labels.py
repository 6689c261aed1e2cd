"""What a file of labelled points holds."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pixelwise.data.points.figure import MISSING, Figure
from pixelwise.errors import InputError, suggestion


@dataclass(frozen=True, eq=False)
class PointLabels:
    """The figures of one file, or of one folder of them.

    Args:
        file: Where they were read.
        names: Of the points, in the order of the figures' arrays.
        figures: Their pictures are as the file names them, with slashes.
        edges: Numbers of points that a line joins, where the file says so.
    """

    file: Path
    names: tuple[str, ...]
    figures: list[Figure]
    edges: tuple[tuple[int, int], ...] = ()

    def ordered(self, names: tuple[str, ...]) -> "PointLabels":
        """The same labels with the points in the order of `names`; others are missing.

        Raises:
            InputError: The file has a point that is none of `names`.
        """
        if names == self.names:
            return self
        for name in self.names:
            if name not in names:
                raise InputError(
                    f"{self.file}: point={name!r}: is none of `points:` of the data set;"
                    f" {suggestion(name, names)}"
                )
        places = [names.index(name) for name in self.names]
        figures = []
        for figure in self.figures:
            points, visible = empty_points(len(names))
            points[places], visible[places] = figure.points, figure.visible
            figures.append(replace(figure, points=points, visible=visible))
        edges = tuple((places[a], places[b]) for a, b in self.edges)
        return PointLabels(self.file, names, figures, edges)


def empty_points(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and visibility of `count` points that are all missing."""
    return np.full((count, 2), np.nan), np.full(count, MISSING, np.uint8)
