"""Where polygons lie and how large they are: in the units of the raster, or metres for degrees."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pixelwise.predict.rasters.geotiff import Place
from pixelwise.predict.rasters.polygons.ellipsoid import WGS84, Ellipsoid

DEGREES = "EPSG:4326"
EARTH = 6.4e6
BENT = 0.01


@dataclass(frozen=True)
class Ground:
    """Where the pixels of a raster are.

    Args:
        crs: The coordinate reference system, as rasterio has it; None: nobody knows.
        transform: From (column, row) to coordinates.
    """

    crs: Any
    transform: Any

    @classmethod
    def of(cls, place: Place) -> "Ground":
        """That of a place; control points are none."""
        from rasterio.transform import Affine

        return cls(place.crs, Affine.identity() if place.transform is None else place.transform)

    @cached_property
    def angles(self) -> bool:
        """Whether coordinates are angles."""
        return self.crs is not None and bool(self.crs.is_geographic)

    @cached_property
    def unit(self) -> str:
        """Of lengths; areas are in squares of it."""
        if self.crs is None:
            return "pixel" if self.transform.is_identity else "unit"
        if self.angles:
            return "metre"
        named = str(self.crs.linear_units)
        return "unit" if named == "unknown" else named

    @cached_property
    def pixel(self) -> float:
        """The area of a pixel in the plane of coordinates."""
        return abs(float(self.transform.determinant))

    def placed(self, polygons: Any) -> Any:
        """Polygons of (column, row) at their coordinates, shells counterclockwise."""
        import shapely

        return shapely.orient_polygons(shapely.transform(polygons, self._at))

    def measured(self, polygons: Any, placed: Any) -> tuple[ndarray, ndarray]:
        """Area of polygons, and length of their outlines.

        Args:
            polygons: Of (column, row).
            placed: The same at their coordinates.
        """
        import shapely

        if not self.angles or not len(polygons):
            return shapely.area(polygons) * self.pixel, shapely.length(placed)
        points, steps, first = sides(placed)
        (dl, dp), p = steps.T * self._radians, points[:-1, 1] * self._radians
        areas = np.add.reduceat(self._ellipsoid.area(p, dp, dl), first)
        return -areas, np.add.reduceat(self._ellipsoid.length(p, dp, dl), first)

    def pixels(self, top: int, rows: int, columns: int) -> Float[ndarray, "rows columns"]:
        """The area of each pixel of some rows."""
        t = self.transform
        if not self.angles:
            return np.full((rows, columns), self.pixel)
        y = np.arange(top, top + rows + 1.0)
        if t.b == t.d == 0:
            tall = np.abs(np.diff(self._ellipsoid.below((t.f + t.e * y) * self._radians)))
            return np.repeat(tall[:, None] * abs(t.a) * self._radians, columns, axis=1)
        middle = t.f + t.d * (np.arange(columns) + 0.5) + t.e * (y[:-1, None] + 0.5)
        north, east = self._ellipsoid.radii(middle * self._radians)
        return north * east * self.pixel * self._radians**2

    def stretch(self, column: float, row: float) -> float:
        """How many times larger than on Earth areas are here; 1 where nobody knows."""
        from rasterio.warp import transform

        if self.crs is None or self.angles:
            return 1.0
        with suppress(Exception):  # other planets; systems without a place on Earth
            places = self._at(np.add([[0, 0], [1, 0], [0, 1]], [column, row]))
            longitude, latitude = np.radians(transform(self.crs, DEGREES, *places.T))
            north, east = WGS84.radii(latitude[:1])
            right, up = (longitude - longitude[0]) * east, (latitude - latitude[0]) * north
            true = abs(right[1] * up[2] - right[2] * up[1])
            return self.pixel * self._metres**2 / float(true)
        return 1.0

    def in_pixels(self, length: float, shape: tuple[int, int]) -> float:
        """How many sides of a pixel a length is, in the middle of a raster (rows, columns)."""
        middle = self.pixels(shape[0] // 2, 1, 1).item() if self.angles else self.pixel
        return length / float(middle**0.5)

    @cached_property
    def straight(self) -> float:
        """So many pixels long a line may be that is straight here and drawn straight in degrees.

        It is off by a hundredth of a pixel at 45 degrees: by length^2 / 8 / radius * tan latitude.
        """
        return max(1.0, float((8 * EARTH * BENT / (self.pixel**0.5 * self._metres)) ** 0.5))

    def _at(self, points: ndarray) -> ndarray:
        t, (x, y) = self.transform, points.T
        return np.stack([t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f], axis=1)

    @cached_property
    def _metres(self) -> float:
        with suppress(Exception):  # a system that is not on Earth has none
            return float(self.crs.linear_units_factor[1])
        return 1.0

    @cached_property
    def _radians(self) -> float:
        return float(self.crs.units_factor[1])

    @cached_property
    def _ellipsoid(self) -> Ellipsoid:
        return Ellipsoid.of(self.crs.to_wkt())


def sides(polygons: Any) -> tuple[ndarray, ndarray, ndarray]:
    """All points of polygons, the steps from each to the next, and where polygons begin there.

    From the end of a ring to the next nothing is drawn; the step is 0.
    """
    import shapely

    _, points, (rings, starts) = shapely.to_ragged_array(polygons)
    steps = np.diff(points, axis=0)
    steps[rings[1:-1] - 1] = 0
    return points, steps, rings[starts[:-1]]
