"""Opening rasters by GDAL, with a limit on the memory it takes."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.errors import InputError

MEGABYTE = 2**20
CACHE, MOST_CACHE = 64, 320
"""Megabytes of decoded blocks that GDAL keeps; without a limit it fills the memory."""


@contextmanager
def limited_cache(megabytes: int = CACHE) -> Iterator[None]:
    """Keep GDAL's cache small inside of the block.

    Raises:
        InputError: rasterio is not installed.
    """
    try:
        import rasterio
        from rasterio.env import get_gdal_config, set_gdal_config
    except ImportError as error:
        raise InputError(
            "rasterio: is needed to read rasters; pip install 'pixelwise[raster]'"
        ) from error

    with rasterio.Env():
        before = get_gdal_config("GDAL_CACHEMAX")
        set_gdal_config("GDAL_CACHEMAX", megabytes * MEGABYTE)
        try:
            yield
        finally:
            set_gdal_config("GDAL_CACHEMAX", before)


def cache_for(file: Any, window: int) -> int:
    """Megabytes that a raster needs so that no block is decoded for every window.

    A block may be as wide as the raster, as in PNG and JPEG files and in strips. Then all blocks of
    a row of windows are kept, up to a limit.
    """
    tall, wide = file.block_shapes[0]
    if wide <= window:
        return CACHE
    rows = min(file.height, window + 2 * tall)
    size = sum(np.dtype(dtype).itemsize for dtype in file.dtypes)
    return min(MOST_CACHE, CACHE + rows * file.width * size // MEGABYTE)


@contextmanager
def without_place_warnings() -> Iterator[None]:
    """A raster that lies nowhere on Earth is nothing to warn of."""
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_raster(path: str | Path) -> Any:
    """A file as rasterio opens it.

    Raises:
        InputError: rasterio is not installed; the file is missing or no raster.
    """
    try:
        import rasterio
    except ImportError as error:
        raise InputError(
            f"{path}: rasterio is needed to read rasters; pip install 'pixelwise[raster]'"
        ) from error
    try:
        with without_place_warnings():
            file = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: is no raster ({told(error)}); check the file") from error
    if not file.count:
        names = ", ".join(name.rpartition(":")[2] for name in file.subdatasets[:4])
        raise InputError(f"{path}: holds several rasters ({names}); name one of them")
    return file


def told(error: Exception) -> str:
    """GDAL's own words, in one line."""
    return " ".join(str(error.__cause__ or error).split())[:200]
