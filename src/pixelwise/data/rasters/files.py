"""Opening rasters by GDAL, with a limit on the memory it takes."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError

CACHE = 64
"""Megabytes of decoded blocks that GDAL keeps; without a limit it fills the memory."""


@contextmanager
def limited_cache() -> Iterator[None]:
    """Keep GDAL's cache small inside of the block."""
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=CACHE):
        yield


@contextmanager
def without_place_warnings() -> Iterator[None]:
    """A raster that lies nowhere on Earth is nothing to warn of."""
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_raster(path: Path) -> Any:
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
