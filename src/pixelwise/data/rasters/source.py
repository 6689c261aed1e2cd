"""The pixels of a raster that GDAL reads, window by window."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.decoded import Decoded, stretched
from pixelwise.data.rasters.files import limited_cache, open_raster, told
from pixelwise.data.reading import Picture, as_picture
from pixelwise.errors import InputError

BROKEN = ("fail", "nodata")
"""What is done about a block that cannot be read."""


class RasterSource:
    """A file that GDAL reads: GeoTIFF, COG, VRT, or any large picture.

    Values are those of `data.reading.read_picture`: palettes become colour, transparency and
    masks become pixels without data.

    Args:
        path: The file.
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
        path: Path,
        bands: Sequence[int] | None = None,
        channels: int | None = None,
        *,
        nodata: Sequence[float] = (),
        broken: str = "fail",
        remedy: str = "replace the file, or go on with --broken nodata",
    ) -> None:
        self.path, self.name = path, str(path)
        self._bands, self._channels, self._nodata, self._broken = bands, channels, nodata, broken
        self._remedy = remedy
        self.lost: list[tuple[int, int, int, int]] = []
        """(top, left, height, width) of blocks that could not be read."""
        self.file = open_raster(path)
        self.height, self.width = self.file.height, self.file.width
        self._alpha, self._table = alpha_band(self.file), palette(self.file)
        self._masked = is_masked(self.file)
        with limited_cache():
            self.read(0, 0, 1, 1)  # a file without the bands that are wanted is told now

    @property
    def may_lack_data(self) -> bool:
        """Whether there may be pixels without data."""
        told = self.file.nodata is not None or bool(self._nodata) or self._masked
        return told or np.dtype(self.file.dtypes[0]).kind == "f"

    def read(self, top: int, left: int, height: int, width: int) -> Picture:
        """The raw values (c, height, width) of a window that lies inside."""
        from rasterio.errors import RasterioIOError

        try:
            found = self._decoded(top, left, height, width)
        except RasterioIOError as error:
            if self._broken == "fail":
                raise InputError(
                    f"{self.path}: rows {top} to {top + height}, columns {left} to {left + width}"
                    f" cannot be read ({told(error)}); {self._remedy}"
                ) from error
            found = self._in_blocks(top, left, height, width)
        return as_picture(self.path, found, self._bands, self._channels, self._nodata)

    def _decoded(self, top: int, left: int, height: int, width: int) -> Decoded:
        from rasterio.windows import Window

        window = Window(left, top, width, height)
        samples = self.file.read(window=window)
        empty = None
        if self._masked:
            empty = self.file.dataset_mask(window=window) == 0
        return self._seen(samples, empty)

    def _seen(self, samples: NDArray[Any], empty: NDArray[np.bool_] | None) -> Decoded:
        if self._table is not None:
            indices = np.minimum(samples[0], len(self._table) - 1)
            nodata = self.file.nodata
            if nodata is not None:
                gone = samples[0] == nodata
                empty = gone if empty is None else empty | gone
            return Decoded(np.moveaxis(self._table[indices], 2, 0), None, empty)
        tags = self.file.tags(1, ns="IMAGE_STRUCTURE")
        with suppress(KeyError):
            samples = stretched(samples, int(tags["NBITS"]))
        if tags.get("MINISWHITE", "NO") == "YES" and samples.dtype.kind == "u":
            samples = np.iinfo(samples.dtype).max - samples
        return Decoded(samples, self._alpha, empty, self.file.nodata)

    def _in_blocks(self, top: int, left: int, height: int, width: int) -> Decoded:
        """A window that cannot be read as a whole: what can be, and no data elsewhere."""
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window

        tall, wide = self.file.block_shapes[0]
        samples = np.zeros((self.file.count, height, width), self.file.dtypes[0])
        gone = np.zeros((height, width), np.bool_)
        for first in range(top - top % tall, top + height, tall):
            for start in range(left - left % wide, left + width, wide):
                y, x = max(first, top), max(start, left)
                h, w = min(first + tall, top + height) - y, min(start + wide, left + width) - x
                inside = slice(y - top, y - top + h), slice(x - left, x - left + w)
                try:
                    samples[:, *inside] = self.file.read(window=Window(x, y, w, h))
                except RasterioIOError:
                    gone[inside] = True
                    block = (
                        first,
                        start,
                        min(tall, self.height - first),
                        min(wide, self.width - start),
                    )
                    if block not in self.lost:
                        self.lost.append(block)
        found = self._seen(samples, None)
        empty = gone if found.empty is None else found.empty | gone
        return Decoded(found.samples, found.alpha, empty, found.nodata)


def is_masked(file: Any) -> bool:
    """Whether a file has a mask of pixels with data, or transparency."""
    flags = {str(flag).rpartition(".")[2] for flags in file.mask_flag_enums for flag in flags}
    return "per_dataset" in flags


def alpha_band(file: Any) -> int | None:
    """The number of the band of transparency."""
    names = [colour.name for colour in file.colorinterp]
    return names.index("alpha") if "alpha" in names else None


def palette(file: Any) -> NDArray[np.uint8] | None:
    """The colours of a file with a palette, by index."""
    if file.count != 1 or file.colorinterp[0].name != "palette":
        return None
    entries = file.colormap(1)
    table = np.zeros((max(entries) + 1, 3), np.uint8)
    for index, colour in entries.items():
        table[index] = colour[:3]
    return table
