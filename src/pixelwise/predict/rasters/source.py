"""Where the pixels of a raster come from, window by window."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from pixelwise.data.decoded import Decoded
from pixelwise.data.rasters.source import BROKEN as BROKEN
from pixelwise.data.rasters.source import RasterSource as RasterSource
from pixelwise.data.reading import Picture, as_picture
from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig


def as_trained(path: str | Path, config: ModelConfig, broken: str) -> RasterSource:
    """A file that GDAL reads, with the bands and the "no data" of a network."""
    return RasterSource(path, config.bands, config.in_channels, nodata=config.nodata, broken=broken)


@runtime_checkable
class Source(Protocol):
    """A raster that can be read in parts."""

    height: int
    width: int
    name: str
    """For messages, such as a file's path."""

    def read(self, top: int, left: int, height: int, width: int) -> Picture:
        """The raw values (c, height, width) of a window that lies inside."""


class ArraySource:
    """A picture in memory.

    Args:
        values: (c, h, w), of raw values.
        name: For messages.
    """

    def __init__(self, values: NDArray[Any], name: str = "array") -> None:
        if values.ndim != 3 or not values.size:
            raise InputError(
                f"values={values.shape}: must be (bands, rows, columns) with pixels; reshape it"
            )
        self._values, self.name = values, name
        self.height, self.width = values.shape[1:]

    def read(self, top: int, left: int, height: int, width: int) -> Picture:
        """See `Source`."""
        part = self._values[:, top : top + height, left : left + width]
        return as_picture(Path(self.name), Decoded(part), None, None)
