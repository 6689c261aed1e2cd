"""Writing a GeoTIFF from finished rows: tiled, compressed, with names, colours and overviews."""

import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.rasters.files import without_place_warnings
from pixelwise.predict.rasters.parts import WHOLE, Parts
from pixelwise.release import VERSION
from pixelwise.tasks.bands import Bands

SOFTWARE = "pixelwise"
"""What the tag Software of files begins with; it shows which may be replaced."""
TILE = 512
"""Pixels of a side of a tile in files."""
ASIDE = ".aux.xml"
"""Where GDAL looks for the names of classes."""
_NAMES = (
    '<PAMDataset><PAMRasterBand band="1"><CategoryNames>{}</CategoryNames></PAMRasterBand>'
    "</PAMDataset>\n"
)


@dataclass(frozen=True)
class Place:
    """Where on Earth a raster lies; None where nobody knows.

    Args:
        crs: The coordinate reference system, as rasterio has it.
        transform: From (column, row) to coordinates, rotated ones too.
        gcps: Ground control points and their system, in place of a transform.
        rpcs: Rational polynomial coefficients.
    """

    crs: Any = None
    transform: Any = None
    gcps: Any = None
    rpcs: Any = None

    @classmethod
    def of(cls, file: Any) -> "Place":
        """The place of an open raster."""
        transform = None if file.transform.is_identity else file.transform
        points, system = file.gcps
        return cls(file.crs, transform, (points, system) if points else None, file.rpcs)


def write_geotiff(
    path: Path,
    bands: Bands,
    place: Place,
    parts: Parts,
    progress: Callable[[str, int, int], None],
    *,
    cog: bool = False,
) -> None:
    """Put the parts together; the file appears when it is whole.

    Args:
        path: The file.
        bands: What it holds.
        place: Where it lies.
        parts: The rows, all of them.
        progress: Told what is done.
        cog: A cloud-optimised GeoTIFF.
    """
    import rasterio

    partial = parts.folder / WHOLE
    grid, count = parts.grid, len(bands.names)
    profile = {
        "driver": "GTiff", "height": grid.height, "width": grid.width, "count": count,
        "dtype": bands.dtype, "nodata": bands.nodata, "compress": "deflate",
        "predictor": 3 if bands.dtype.startswith("float") else 2,
        "bigtiff": "if_safer", "interleave": "band",
        **_tiles(grid.height, grid.width),
    }  # fmt: skip
    with without_place_warnings(), rasterio.open(partial, "w", **profile) as file:
        _place(file, place)
        _describe(file, bands)
        for band in range(count):
            for top, rows in _aligned(parts, band):
                file.write(rows, band + 1, window=((top, top + len(rows)), (0, grid.width)))
                progress("writing", band * grid.height + top + len(rows), count * grid.height)
    factors = _factors(grid.height, grid.width)
    if factors and not cog:
        kind = getattr(rasterio.enums.Resampling, _averaged(bands))
        with without_place_warnings(), rasterio.open(partial, "r+") as file:
            file.build_overviews(factors, kind)
    if cog:
        _as_cog(partial, bands)
    _check(partial, parts, count, progress)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    beside = path.with_name(path.name + ASIDE)
    if bands.classes:
        names = parts.folder / (WHOLE + ASIDE)
        names.write_text(_categories(bands), encoding="utf-8")
        names.replace(beside)
    else:
        beside.unlink(missing_ok=True)
    partial.replace(path)


def _check(path: Path, parts: Parts, count: int, progress: Callable[[str, int, int], None]) -> None:
    """Compare a file with the parts: GDAL does not always tell that a disk is full."""
    import rasterio

    height, width = parts.grid.height, parts.grid.width
    with without_place_warnings(), rasterio.open(path) as file:
        for band in range(count):
            for top, rows in _aligned(parts, band):
                found = file.read(band + 1, window=((top, top + len(rows)), (0, width)))
                if not np.array_equal(found, rows, equal_nan=rows.dtype.kind == "f"):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                progress("checking", band * height + top + len(rows), count * height)


def _averaged(bands: Bands) -> str:
    """How smaller copies are made: of classes or labels no mean is taken."""
    return "nearest" if bands.dtype == "uint8" or bands.classes else "average"


def _tiles(height: int, width: int) -> dict[str, Any]:
    if min(height, width) < TILE:
        return {"tiled": False}
    return {"tiled": True, "blockxsize": TILE, "blockysize": TILE}


def _place(file: Any, place: Place) -> None:
    if place.gcps is not None:
        file.gcps = place.gcps
    else:
        if place.crs is not None:
            file.crs = place.crs
        if place.transform is not None:
            file.transform = place.transform
    if place.rpcs is not None:
        file.rpcs = place.rpcs


def _describe(file: Any, bands: Bands) -> None:
    file.update_tags(TIFFTAG_SOFTWARE=f"{SOFTWARE} {VERSION}")
    for number, name in enumerate(bands.names, start=1):
        file.set_band_description(number, name)
    if bands.classes:
        file.update_tags(classes=json.dumps(list(bands.classes), ensure_ascii=False))
    if bands.palette and bands.dtype == "uint8":
        file.write_colormap(1, {i: (*map(int, c), 255) for i, c in enumerate(bands.palette[:255])})


def _categories(bands: Bands) -> str:
    return _NAMES.format("".join(f"<Category>{escape(name)}</Category>" for name in bands.classes))


def is_ours_aside(path: Path) -> bool:
    """Whether a file beside a GeoTIFF holds names of classes, just as they are written here."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return re.fullmatch(_NAMES.format("(<Category>[^<]*</Category>)*"), text) is not None


def _factors(height: int, width: int) -> list[int]:
    factors, factor = [], 2
    while max(height, width) / factor > TILE / 2:
        factors.append(factor)
        factor *= 2
    return factors


def _aligned(parts: Parts, band: int) -> Any:
    """Rows of pixels in groups that fill the tiles of a file."""
    waiting: list[NDArray[Any]] = []
    begun = held = 0
    for _, rows in parts.band(band):
        waiting.append(rows)
        held += len(rows)
        if held < TILE:
            continue
        joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        whole = held - held % TILE
        yield begun, joined[:whole]
        begun, held, waiting = begun + whole, held - whole, [joined[whole:]]
    if held:
        yield begun, np.concatenate(waiting)


def _as_cog(partial: Path, bands: Bands) -> None:
    from rasterio.shutil import copy

    whole = partial.with_name("cog.tif")
    copy(
        str(partial),
        str(whole),
        driver="COG",
        compress="deflate",
        blocksize=TILE,
        bigtiff="if_safer",
        overview_resampling=_averaged(bands),
    )
    whole.replace(partial)
