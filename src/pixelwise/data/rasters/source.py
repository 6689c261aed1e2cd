"""The pixels of a raster that GDAL reads, window by window."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.decoded import Decoded
from pixelwise.data.rasters.decoding import Decoding
from pixelwise.data.rasters.files import limited_cache, open_raster, told
from pixelwise.data.reading import Picture, as_picture
from pixelwise.errors import InputError

BROKEN = ("fail", "nodata")
"""What is done about a block that cannot be read."""
STREAMED = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Formats where a break spoils all that follows, of which GDAL tells only once."""


class RasterSource:
    """A file that GDAL reads: GeoTIFF, COG, VRT, or any large picture.

    Values are those of `data.reading.read_picture`: palettes become colour, transparency and
    masks become pixels without data.

    Args:
        path: The file, or what GDAL takes for one, such as "/vsizip/fields.zip/north.tif".
        bands: Which bands, counted from 0; None: all but transparency.
        channels: How many bands windows must have; None: as many as there are.
        nodata: Values that mean "no data", beside the file's own.
        broken: "fail", or "nodata": what cannot be read is left without data.
        remedy: What to do about what cannot be read, for messages.

    Raises:
        InputError: It cannot be opened; it lacks bands.
    """

    def __init__(
        self,
        path: str | Path,
        bands: Sequence[int] | None = None,
        channels: int | None = None,
        *,
        nodata: Sequence[float] = (),
        broken: str = "fail",
        remedy: str = "replace the file, or go on with --broken nodata",
    ) -> None:
        self.path, self.name = Path(path), str(path)
        self._bands, self._channels, self._nodata, self.broken = bands, channels, nodata, broken
        self._remedy = remedy
        self.lost: dict[tuple[int, int, int, int], None] = {}
        """(top, left, height, width) of blocks that could not be read; a set in their order."""
        self.file = open_raster(path)
        self.height, self.width = self.file.height, self.file.width
        self._until = self.height
        self._decoding = Decoding(self.file, bands)
        with limited_cache():
            self.read(0, 0, 1, 1)  # a file without the bands that are wanted is told now

    @property
    def may_lack_data(self) -> bool:
        """Whether there may be pixels without data."""
        return bool(self._nodata) or self._decoding.may_lack_data

    def read(self, top: int, left: int, height: int, width: int) -> Picture:
        """The raw values (c, height, width) of a window that lies inside."""
        from rasterio.errors import RasterioIOError

        try:
            found = self._decoding.decoded(*self._read(top, left, height, width))
        except RasterioIOError as error:
            if self.broken == "fail":
                raise InputError(
                    f"{self.name}: rows {top} to {top + height}, columns {left} to {left + width}"
                    f" cannot be read ({told(error)}); {self._remedy}"
                ) from error
            self._renew()
            found = self._in_blocks(top, left, height, width)
        return as_picture(self.path, found, self._bands, self._channels, self._nodata)

    def _read(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """The numbers, and where the file's mask hides them."""
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window

        if top + height > self._until:
            raise RasterioIOError("nothing is left below a broken row")
        window = Window(left, top, width, height)
        if self._decoding.alike:
            samples = self.file.read(window=window)
        else:
            bands = [self.file.read(band, window=window) for band in self.file.indexes]
            samples = np.stack([band.astype(self._decoding.dtype) for band in bands])
        if not self._decoding.masked:
            return samples, None
        return samples, self.file.dataset_mask(window=window) == 0

    def _in_blocks(self, top: int, left: int, height: int, width: int) -> Decoded:
        """A window that cannot be read as a whole: what can be, and no data elsewhere."""
        from rasterio.errors import RasterioIOError

        tall, wide = self.file.block_shapes[0]
        samples = np.zeros((self.file.count, height, width), self._decoding.dtype)
        gone = np.zeros((height, width), np.bool_)
        for first in range(top - top % tall, top + height, tall):
            for start in range(left - left % wide, left + width, wide):
                y, x = max(first, top), max(start, left)
                h, w = min(first + tall, top + height) - y, min(start + wide, left + width) - x
                inside = slice(y - top, y - top + h), slice(x - left, x - left + w)
                try:
                    samples[:, *inside], hidden = self._read(y, x, h, w)
                    gone[inside] = False if hidden is None else hidden
                except RasterioIOError:
                    gone[inside] = True
                    self._note(first, start, tall, wide)
        return self._decoding.decoded(samples, gone)

    def _note(self, top: int, left: int, height: int, width: int) -> None:
        """A block is lost."""
        if self.file.driver not in STREAMED:
            size = min(height, self.height - top), min(width, self.width - left)
            self.lost[top, left, *size] = None
        elif top < self._until:
            self._until = top
            self.lost.clear()
            self.lost[top, 0, self.height - top, self.width] = None
            self._renew()

    def _renew(self) -> None:
        """Open the file again: after a break, decoders give anything."""
        if self.file.driver in STREAMED:
            self.file.close()
            self.file = open_raster(self.name)
