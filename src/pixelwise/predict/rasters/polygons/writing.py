"""Files of polygons: GeoPackage and GeoJSON, in batches. Equal polygons give equal bytes."""

import json
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy import ndarray

from pixelwise.data.rasters.files import told
from pixelwise.errors import InputError
from pixelwise.predict.rasters.polygons.ground import DEGREES, sides
from pixelwise.release import VERSION

SOFTWARE = "pixelwise"
DATE = "1980-01-01T00:00:00.000Z"
"""GeoPackages say when they were changed last. This keeps their bytes the same, and shows which
were changed by others."""
DIGITS = 9
"""Decimals of degrees in GeoJSON: a tenth of a millimetre."""
HALF = 180
FIELDS = ("class", "name", "area", "length")


@dataclass(frozen=True)
class Batch:
    """Some polygons.

    Args:
        polygons: shapely's, at their coordinates.
        classes: Their numbers.
        names: Of the classes.
        areas: In the raster's units.
        lengths: Of their outlines.
    """

    polygons: Any
    classes: ndarray
    names: Sequence[str]
    areas: ndarray
    lengths: ndarray


class Writer(Protocol):
    """A file that grows."""

    @property
    def bends(self) -> bool:
        """Whether lines that are straight in the raster's system are not in the file's."""

    def write(self, batch: Batch) -> None:
        """Some more polygons."""

    def close(self) -> None:
        """That was all."""


class GeoPackage:
    """A GeoPackage of one layer.

    Args:
        path: The file.
        layer: The name of the layer.
        crs: As rasterio has it, or None.
    """

    def __init__(self, path: Path, layer: str, crs: Any) -> None:
        self._path, self._layer, self._crs = path, layer, crs
        self._count = 0

    @property
    def bends(self) -> bool:
        """See `Writer`."""
        return False

    def write(self, batch: Batch) -> None:
        """See `Writer`."""
        import pyogrio
        import shapely

        begun = self._path.exists()
        options = {} if begun else {"layer_options": {"DESCRIPTION": f"{SOFTWARE} {VERSION}"}}
        with _dated(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a raster may lie nowhere on Earth
            try:
                pyogrio.raw.write(
                    self._path,
                    shapely.to_wkb(batch.polygons),
                    [
                        batch.classes,
                        np.array(batch.names, object),
                        batch.areas,
                        batch.lengths,
                    ],
                    FIELDS,
                    layer=self._layer,
                    driver="GPKG",
                    geometry_type="Polygon",
                    crs=None if self._crs is None else self._crs.to_wkt(),
                    append=begun,
                    **options,
                )
            except RuntimeError as error:
                raise OSError(told(error)) from error
        self._count += len(batch.polygons)

    def close(self) -> None:
        """See `Writer`."""
        import pyogrio

        if pyogrio.read_info(self._path)["features"] != self._count:
            raise OSError("not all polygons were written")


class GeoJSON:
    """A GeoJSON file, in degrees on WGS 84 where the place is known.

    Args:
        path: The file.
        layer: Its name.
        crs: Of the polygons.
    """

    def __init__(self, path: Path, layer: str, crs: Any) -> None:
        self._path, self._crs, self._between = path, crs, "\n"
        about = {"type": "FeatureCollection", "generator": f"{SOFTWARE} {VERSION}", "name": layer}
        self._add(_json(about)[:-1] + ',"features":[')

    @property
    def bends(self) -> bool:
        """See `Writer`."""
        return self._crs is not None and not self._crs.is_geographic

    def write(self, batch: Batch) -> None:
        """See `Writer`."""
        import shapely

        shapes = batch.polygons if self._crs is None else in_degrees(batch.polygons, self._crs)
        columns = batch.classes.tolist(), batch.names, batch.areas.tolist(), batch.lengths.tolist()
        lines = []
        for *row, shape in zip(*columns, shapely.to_geojson(shapes), strict=True):
            about = _json(dict(zip(FIELDS, row, strict=True)))
            lines.append(f'{{"type":"Feature","properties":{about},"geometry":{shape}}}')
        if lines:
            self._add(self._between + ",\n".join(lines))
            self._between = ",\n"

    def close(self) -> None:
        """See `Writer`."""
        self._add("\n]}\n")

    def _add(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)


WRITERS: dict[str, type[GeoPackage] | type[GeoJSON]] = {
    ".gpkg": GeoPackage,
    ".geojson": GeoJSON,
    ".json": GeoJSON,
}
"""By the end of a file's name."""


def in_degrees(polygons: Any, crs: Any) -> Any:
    """Polygons as RFC 7946 wants them.

    Raises:
        InputError: They cross the 180th meridian, or lie nowhere on Earth.
    """
    import shapely
    from rasterio.warp import transform

    def at(points: ndarray) -> ndarray:
        try:
            return np.stack(transform(crs, DEGREES, *points.T), axis=1).round(DIGITS)
        except Exception as error:  # GDAL has several kinds for systems without a place on Earth
            raise InputError(
                f"polygons: GeoJSON is in degrees, and there is no way to them ({told(error)});"
                " write a .gpkg"
            ) from error

    if not len(polygons):
        return polygons
    found = shapely.transform(polygons, at)
    _, steps, _ = sides(found)
    if not np.isfinite(steps).all() or np.abs(steps[:, 0]).max(initial=0) > HALF:
        raise InputError(
            "polygons: cross the 180th meridian or leave the map, which GeoJSON cannot say; write"
            " a .gpkg"
        )
    return shapely.orient_polygons(found)


def is_ours(path: Path) -> bool:
    """Whether pixelwise wrote a file of polygons, and nobody has changed it since."""
    if path.suffix.lower() != ".gpkg":
        with path.open("rb") as file:
            return f'"generator":"{SOFTWARE} '.encode() in file.read(200)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            rows = base.execute("SELECT description, last_change FROM gpkg_contents").fetchall()
    except sqlite3.Error:
        return False
    return len(rows) == 1 and str(rows[0][0]).startswith(SOFTWARE) and rows[0][1] == DATE


def check_closed(path: Path) -> None:
    """Raise an InputError where another program has a GeoPackage open, or left it unfinished."""
    for suffix in ("-wal", "-journal"):
        if path.with_name(path.name + suffix).exists():
            raise InputError(
                f"{path.name}{suffix}: stands beside {path.name}, which another program has open;"
                " close it there, or choose another file"
            )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@contextmanager
def _dated() -> Iterator[None]:
    import pyogrio

    name = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})
