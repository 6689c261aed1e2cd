"""TIFF files with any number of bands: uint8, uint16 or float32."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelwise.errors import InputError

SUFFIXES = frozenset({".tif", ".tiff"})
PICTURE_TYPES = frozenset({"uint8", "uint16", "float32"})
# What Pillow decodes without loss, for compressions that tifffile leaves to a further package.
PILLOW_MODES = {
    ("uint8", 1): "L",
    ("uint8", 3): "RGB",
    ("uint8", 4): "RGBA",
    ("uint16", 1): "I;16",
    ("float32", 1): "F",
}


def describe(path: Path) -> tuple[int, int, int, str]:
    """(bands, height, width, type name) without decoding."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        shape, dtype = _bands_first(path, series.axes, series.shape), str(series.dtype)
    if dtype not in PICTURE_TYPES:
        raise InputError(f"{path}: holds {dtype}, not uint8, uint16 or float32; convert it")
    bands, height, width = shape
    return bands, height, width, dtype


def read(path: Path, *, mask: bool = False) -> NDArray[Any]:
    """The values, (bands, h, w). All bands are kept: a fourth one may be infrared or alpha."""
    import tifffile

    if not mask:
        describe(path)
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        bands, height, width = _bands_first(path, series.axes, series.shape)
        try:
            raw = series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            name = series.pages[0].compression.name
            raw = _by_pillow(path, str(series.dtype), bands, name)
    if mask and raw.dtype.kind not in "biu":
        raise InputError(f"{path}: holds {raw.dtype}, not whole numbers; convert the mask")
    raw = raw.astype(raw.dtype.newbyteorder("="))
    return (
        np.moveaxis(raw, 2, 0)
        if raw.shape == (height, width, bands)
        else raw.reshape(bands, height, width)
    )


def _bands_first(path: Path, axes: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    if axes == "YX":
        return 1, shape[0], shape[1]
    if axes == "YXS":
        return shape[2], shape[0], shape[1]
    if len(axes) == 3 and axes.endswith("YX"):
        return shape[0], shape[1], shape[2]
    raise InputError(f"{path}: has the axes {axes} {shape}; give bands, height and width")


def _by_pillow(path: Path, dtype: str, bands: int, compression: str) -> NDArray[Any]:
    with Image.open(path) as image:
        if PILLOW_MODES.get((dtype, bands)) != image.mode:
            raise InputError(
                f"{path}: compressed with {compression}; `pip install imagecodecs`, or rewrite "
                "the file with deflate or without compression"
            )
        return np.array(image)
