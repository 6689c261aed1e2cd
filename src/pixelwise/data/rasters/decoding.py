"""What the numbers of an open raster mean, as `data.reading` has it for pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data import tiff
from pixelwise.data.decoded import Decoded, stretched
from pixelwise.data.missing import find_missing
from pixelwise.errors import InputError

BLACK_AND_WHITE = {(0, 0, 0), (255, 255, 255)}


class Decoding:
    """Turns what GDAL reads into pictures: palettes into colour, masks into pixels without data.

    Args:
        file: As rasterio opened it.
        bands: Those that are wanted; None: all but transparency.

    Raises:
        InputError: Pictures in a pile, or one that is shown turned.
    """

    def __init__(self, file: Any, bands: Sequence[int] | None = None) -> None:
        _check(file)
        self.alpha = alpha_band(file)
        self.dtype, self.alike = np.result_type(*file.dtypes), len({*file.dtypes}) == 1
        of_band, of_file = (file.tags(*which, ns="IMAGE_STRUCTURE") for which in ((1,), ()))
        self._bits = int(of_band.get("NBITS", 8 * self.dtype.itemsize))
        self._white_is_least = of_file.get("MINISWHITE") == "YES"
        self._table = None if self._white_is_least else palette(file)
        flags = _mask_flags(file)
        self.masked = is_masked(file)
        self._nodata = () if self.masked and "nodata" in flags else tuple(file.nodatavals)
        self._wanted = bands

    @property
    def may_lack_data(self) -> bool:
        """Whether there may be pixels without data."""
        told = any(number is not None for number in self._nodata)
        return told or self.masked or self.alpha is not None or self.dtype.kind == "f"

    def decoded(self, samples: NDArray[Any], empty: NDArray[np.bool_] | None) -> Decoded:
        """What a picture file with these numbers would hold.

        Args:
            samples: (bands, h, w), all that the file has.
            empty: Where the file's mask hides them.
        """
        if self._table is not None:
            gone = _either(empty, self._gone(samples))
            colours = self._table[np.minimum(samples[0], len(self._table) - 1)]
            found = np.moveaxis(colours, 2, 0)
            return Decoded(found[:3], None, _either(gone, _if_any(found[3] == 0)))
        gone, nodata = empty, None
        if len({*self._nodata}) == 1:
            nodata = self._nodata[0]
        else:
            gone = _either(empty, self._gone(samples))
        samples = stretched(samples, self._bits)
        if self._white_is_least and samples.dtype.kind == "u":
            samples = np.iinfo(samples.dtype).max - samples
        return Decoded(samples, self.alpha, gone, nodata)

    def _gone(self, samples: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Where a band has the value that means "no data" in it."""
        gone = None
        for band, number in enumerate(self._nodata):
            wanted = band != self.alpha if self._wanted is None else band in self._wanted
            if number is not None and wanted:
                gone = _either(gone, find_missing(samples[band][None], [number]))
        return gone


def alpha_band(file: Any) -> int | None:
    """The number of the band of transparency."""
    names = [colour.name for colour in file.colorinterp]
    return names.index("alpha") if "alpha" in names else None


def is_masked(file: Any) -> bool:
    """Whether a file has a mask of pixels with data, other than transparency."""
    flags = _mask_flags(file)
    return "per_dataset" in flags and "alpha" not in flags


def _mask_flags(file: Any) -> set[str]:
    return {flag.name for some in file.mask_flag_enums for flag in some}


def _either(
    one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    return other if one is None else one if other is None else one | other


def _if_any(found: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    return found if found.any() else None


def _check(file: Any) -> None:
    if file.driver == "GTiff" and len(file.subdatasets) > 1:
        raise InputError(
            f"{file.name}: holds {len(file.subdatasets)} pages; save them as bands of one raster,"
            " or one alone"
        )
    if _orientation(file) not in (0, 1):
        raise InputError(
            f"{file.name}: is to be shown turned (Orientation {_orientation(file)}), which rasters"
            " are not; save it upright, or predict it as a picture with a folder for --out"
        )


def _orientation(file: Any) -> int:
    if file.driver == "GTiff" and Path(file.name).is_file():
        return tiff.orientation(Path(file.name))
    told = file.tags().get("EXIF_Orientation", "1")
    return int(told) if told.isdigit() else 1


def palette(file: Any) -> NDArray[np.uint8] | None:
    """The colours and opacity (entries, 4) of a file with a palette, by index."""
    if file.count != 1 or file.colorinterp[0].name != "palette":
        return None
    entries = file.colormap(1)
    one_bit = file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == "1"
    if one_bit and {colour[:3] for colour in entries.values()} == BLACK_AND_WHITE:
        return None  # no palette, though GDAL shows one
    table = np.zeros((max(entries) + 1, 4), np.uint8)
    for index, colour in entries.items():
        table[index] = colour
    return table
