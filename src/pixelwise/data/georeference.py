"""Rasters of values with the place on Earth of the picture that they belong to."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float32
from numpy import ndarray

from pixelwise.data import tiff

PLACE = (33550, 33922, 34264, 34735, 34736, 34737)
"""The tags of GeoTIFF: pixel size, tie points, transformation, and the keys of the projection."""
GDAL_NODATA = 42113
Tag = tuple[int, int, int, Any, bool]
"""Code, type, count, value, and whether it is written once, as tifffile takes it."""


def geo_tags(path: Path) -> tuple[Tag, ...]:
    """The tags of a picture that say where it lies; none where it is no GeoTIFF."""
    return tuple((*tag, True) for tag in tiff.tags(path, PLACE))


def values_tiff(values: Float32[ndarray, "k h w"], tags: Sequence[Tag] = ()) -> bytes:
    """A TIFF of float32 bands; NaN is "no data".

    Args:
        values: Band by band.
        tags: As `geo_tags` gives them.
    """
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(
        file,
        values[0] if len(values) == 1 else values,
        photometric="minisblack",
        planarconfig=None if len(values) == 1 else "separate",
        compression="zlib",
        metadata=None,
        extratags=[*tags, (GDAL_NODATA, 2, 0, "nan", True)],
    )
    return file.getvalue()
