"""Where the pixels of a raster lie, and how places go from one to another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

ALONG = 33
"""Points of an edge of a raster where it is taken to another system, in which it may be bent."""


@dataclass(frozen=True)
class Grid:
    """Size, coordinate reference system and transform of a raster.

    Args:
        file: For messages.
        height: Rows.
        width: Columns.
        crs: As rasterio has it; None: nobody knows.
        transform: From (column, row) to coordinates.
        points: Whether ground control points stand in place of a transform.
    """

    file: Path
    height: int
    width: int
    crs: Any
    transform: Any
    points: bool = False

    @classmethod
    def of(cls, file: Path, opened: Any) -> "Grid":
        """That of an open raster."""
        points = bool(opened.gcps[0]) and opened.transform.is_identity
        return cls(file, opened.height, opened.width, opened.crs, opened.transform, points)

    @property
    def told(self) -> str:
        """How it lies, for people."""
        return "ground control points" if self.points else self.system

    @property
    def system(self) -> str:
        """The coordinate reference system, for people."""
        return system_name(self.crs)

    def outline(self) -> Float64[ndarray, "n 2"]:
        """(column, row) of points along the edges, once around."""
        along = np.linspace(0, 1, ALONG)[:-1]
        zero, one = np.zeros_like(along), np.ones_like(along)
        sides = [(along, zero), (one, along), (1 - along, one), (zero, 1 - along)]
        around = np.concatenate([np.stack(side, axis=1) for side in sides])
        return around * [self.width, self.height]

    def to_ground(self, places: Float64[ndarray, "n 2"]) -> Float64[ndarray, "n 2"]:
        """Coordinates of (column, row)."""
        return _moved(self.transform, places)

    def to_pixels(
        self, places: Float64[ndarray, "n 2"], crs: Any = None
    ) -> Float64[ndarray, "n 2"]:
        """(column, row) of coordinates, of another system if one is named; infinite: nowhere."""
        if crs is not None and self.crs is not None and crs != self.crs and len(places):
            from rasterio.warp import transform

            x, y = transform(crs, self.crs, places[:, 0], places[:, 1])
            places = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], axis=1)
        with np.errstate(invalid="ignore"):
            return _moved(~self.transform, places)


def system_name(crs: Any) -> str:
    """A coordinate reference system, for people."""
    if crs is None:
        return "none"
    number = crs.to_epsg()
    return f"EPSG:{number}" if number else " ".join(crs.to_string().split())[:80]


def _moved(by: Any, places: Float64[ndarray, "n 2"]) -> Float64[ndarray, "n 2"]:
    x, y = places[:, 0], places[:, 1]
    return np.stack([by.a * x + by.b * y + by.c, by.d * x + by.e * y + by.f], axis=1)
