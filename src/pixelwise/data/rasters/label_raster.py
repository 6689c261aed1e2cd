"""A raster of labels, read on the grid of the raster that it labels: of each pixel the nearest."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.rasters.areas import Window
from pixelwise.data.rasters.decoding import alpha_band, is_masked, palette
from pixelwise.data.rasters.features import Burner
from pixelwise.data.rasters.files import limited_cache, open_raster, told, without_place_warnings
from pixelwise.data.rasters.grid import Grid
from pixelwise.data.rasters.opened import Opened
from pixelwise.errors import InputError

SAME = 0.25
"""Two grids are one if their corners lie no more pixels apart: nearest pixels are the same then."""
TOLERANCE = 0.01
"""Pixels by which a place in another coordinate system may be off."""
LOSSY = frozenset({"jpeg", "ycbcr jpeg", "webp", "lerc", "jpeg2000", "jxl"})
LOSSY_DRIVERS = frozenset({"JPEG", "WEBP", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JPEGXL", "ECW"})


class LabelRaster:
    """A file of labels on the pixels of a raster.

    Args:
        file: The labels.
        grid: Of the raster that they are for.
        opened: What is open.

    Raises:
        InputError: It cannot be opened, blurs labels, or nobody can say how it lies on the raster.
    """

    def __init__(self, file: Path, grid: Grid, opened: Opened) -> None:
        self.file, self.grid, self._opened = file, grid, opened
        with limited_cache(), open_raster(file) as found:
            own = Grid.of(file, found)
            compression = "" if found.compression is None else found.compression.value.lower()
            if compression in LOSSY or found.driver in LOSSY_DRIVERS:
                raise InputError(
                    f"{file}: is compressed with {compression or found.driver}, which may blur"
                    " labels; save it with deflate"
                )
            self.nodata: float | None = found.nodata
            colours = palette(found)
            self.palette = None if colours is None else colours[:, :3]
            self._alpha, self._masked = alpha_band(found), is_masked(found)
        self._own = own
        self._warped = not _is_same(own, grid)
        self._covered = self._coverage() if self._warped else None
        if self._warped and self._masked:
            raise InputError(
                f"{file}: has a mask of its own and another grid than {grid.file}; give it a nodata"
                " value in place of the mask, with gdal_translate"
            )

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The values (bands, h, w) of a window, transparency left out, and where there are none.

        Raises:
            InputError: It cannot be read.
        """
        from rasterio import windows
        from rasterio.errors import RasterioIOError

        top, left, height, width = window
        part = windows.Window(left, top, width, height)
        with limited_cache():
            file = self._opened.get((self.file, self.grid.file), self._open)
            try:
                samples = file.read(window=part)
                gone = np.zeros((height, width), np.bool_)
                if self._masked:
                    gone = file.dataset_mask(window=part) == 0
            except RasterioIOError as error:
                raise InputError(
                    f"{self.file}: rows {top} to {top + height}, columns {left} to {left + width}"
                    f" cannot be read ({told(error)}); replace the file"
                ) from error
        if self._alpha is not None:
            gone |= samples[self._alpha] == 0
            samples = np.delete(samples, self._alpha, axis=0)
        if self._covered is not None:
            covered = np.zeros((height, width), np.int64)
            self._covered.burn(covered, window)
            gone |= covered == 0
        return samples, gone

    def coloured(self, samples: NDArray[Any]) -> NDArray[Any]:
        """The colours (3, h, w) of values of a file with a palette; others stay as they are."""
        if self.palette is None:
            return samples
        return np.moveaxis(self.palette[np.minimum(samples[0], len(self.palette) - 1)], 2, 0)

    def _open(self) -> Any:
        file = open_raster(self.file)
        if not self._warped:
            return file
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        # Without a system the two share one all the same, and GDAL has to be given some.
        with without_place_warnings():
            return WarpedVRT(
                file,
                src_crs=self._own.crs or "EPSG:3857",
                crs=self.grid.crs or "EPSG:3857",
                transform=self.grid.transform,
                height=self.grid.height,
                width=self.grid.width,
                resampling=Resampling.nearest,
                tolerance=TOLERANCE,
            )

    def _coverage(self) -> Burner:
        """Where the labels lie on the raster."""
        from shapely import Polygon

        own, grid = self._own, self.grid
        if own.points or grid.points or (own.crs is None) != (grid.crs is None):
            raise InputError(
                f"{self.file}: {own.height} x {own.width} pixels, coordinate system {own.told},"
                f" cannot be laid on {grid.file}: {grid.height} x {grid.width}, {grid.told}; save"
                " both on one grid, or state the system of both"
            )
        if own.crs is None and own.transform.is_identity and grid.transform.is_identity:
            raise InputError(
                f"{self.file}: {own.height} x {own.width} pixels (height x width), but {grid.file}"
                f" has {grid.height} x {grid.width}, and neither says where it lies; make them"
                " equal"
            )
        around = grid.to_pixels(own.to_ground(own.outline()), own.crs)
        around = around[np.isfinite(around).all(axis=1)]
        left, top = around.min(axis=0, initial=np.inf)
        right, bottom = around.max(axis=0, initial=-np.inf)
        if not (left < grid.width and top < grid.height and right > 0 and bottom > 0):
            raise InputError(
                f"{self.file} ({own.told}): lies nowhere on {grid.file} ({grid.told}); check the"
                " coordinate systems"
            )
        shapes = np.empty(1, object)
        shapes[0] = Polygon(around)
        return Burner(shapes, np.ones(1))


def _is_same(own: Grid, grid: Grid) -> bool:
    """Whether pixel (row, column) of one is that of the other."""
    if (own.height, own.width) != (grid.height, grid.width):
        return False
    if own.points or grid.points or (own.crs is None) != (grid.crs is None):
        return True
    if own.crs is None and (own.transform.is_identity or grid.transform.is_identity):
        return True
    if own.crs != grid.crs:
        return False
    corners = own.outline()
    return float(np.abs(grid.to_pixels(own.to_ground(corners)) - corners).max()) < SAME
