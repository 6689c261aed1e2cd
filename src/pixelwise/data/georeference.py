"""Rasters of values and labels with the place on Earth of the picture that they belong to."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from jaxtyping import Float32, UInt8
from numpy import ndarray

from pixelwise.data import tiff

PLACE = (33550, 33922, 34264, 34735, 34736, 34737)
"""The tags of GeoTIFF: pixel size, tie points, transformation, and the keys of the projection."""
GDAL_METADATA = 42112
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


def labels_tiff(
    labels: UInt8[ndarray, "k h w"], names: Sequence[str], nodata: int, tags: Sequence[Tag] = ()
) -> bytes:
    """A TIFF of 8-bit bands with names, as GDAL and QGIS show them.

    Args:
        labels: Band by band.
        names: Of the bands, in any script.
        nodata: The value of "no data".
        tags: As `geo_tags` gives them.
    """
    import tifffile

    items = "".join(
        f'<Item name="DESCRIPTION" sample="{i}" role="description">{escape(name)}</Item>'
        for i, name in enumerate(names)
    )
    # A TIFF's text is ASCII; XML can say all other letters with it.
    described = f"<GDALMetadata>{items}</GDALMetadata>".encode("ascii", "xmlcharrefreplace")
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        labels[0] if len(labels) == 1 else labels,
        photometric="minisblack",
        planarconfig=None if len(labels) == 1 else "separate",
        compression="zlib",
        metadata=None,
        extratags=[
            *tags,
            (GDAL_METADATA, 2, 0, described.decode(), True),
            (GDAL_NODATA, 2, 0, str(nodata), True),
        ],
    )
    return file.getvalue()
