"""Features of a vector file, as they lie on the pixels of a raster.

Coordinates are taken to the raster's system. A pixel belongs to a polygon if its centre is inside;
of features that overlap, the later one in the file is seen. Lines are one pixel wide.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.rasters.areas import Window
from pixelwise.data.rasters.files import told, without_place_warnings
from pixelwise.data.rasters.grid import Grid
from pixelwise.errors import InputError, unknown

SUFFIXES = frozenset(
    {".gpkg", ".geojson", ".geojsonl", ".json", ".shp", ".fgb", ".kml", ".gml", ".tab", ".gdb"}
)
"""Of vector files; all others are rasters."""
MANY = 50_000
"""Of files with more features, only those around the raster are read."""
MARGIN = 0.02


@dataclass(frozen=True, eq=False)
class Features:
    """What a file holds that meets a raster, in the file's order.

    Args:
        file: For messages.
        shapes: Geometries in (column, row) of the raster, each of one part.
        rows: The feature of each geometry.
        field: What the file says of each feature; None: nothing was asked for.
        lost: Features without a geometry that could be placed.
    """

    file: Path
    shapes: NDArray[Any]
    rows: NDArray[np.int64]
    field: NDArray[Any] | None
    lost: int = 0

    def chosen(self, rows: NDArray[np.bool_]) -> "Features":
        """Those of some features."""
        keep = rows[self.rows]
        return Features(self.file, self.shapes[keep], self.rows[keep], self.field)


class Burner:
    """Burns values into windows.

    Args:
        shapes: As `Features.shapes`, in their order.
        values: Of each.
    """

    def __init__(self, shapes: NDArray[Any], values: NDArray[Any]) -> None:
        from shapely import STRtree

        self._shapes, self._values, self._tree = shapes, values, STRtree(shapes)

    def burn(self, target: NDArray[Any], window: Window) -> None:
        """Write the values of features into the pixels of a window (h, w) that they cover."""
        hits = self._hits(window)
        if not len(hits):
            return
        from rasterio.features import rasterize
        from rasterio.transform import Affine

        pairs = [(self._shapes[i], self._values[i].item()) for i in hits]
        place = Affine.translation(window.left, window.top)
        burnt = np.zeros(target.shape, np.float64)
        burnt[:] = target
        with without_place_warnings():
            rasterize(pairs, out=burnt, transform=place, all_touched=False)
        target[:] = burnt.astype(target.dtype)

    def meets(self, window: Window) -> bool:
        """Whether a feature may lie in a window."""
        return len(self._hits(window)) > 0

    def _hits(self, window: Window) -> NDArray[np.int64]:
        from shapely import box

        top, left, height, width = window
        found = self._tree.query(box(left, top, left + width, top + height))
        return np.sort(np.asarray(found, np.int64))


def read_features(
    file: Path, grid: Grid, *, layer: str | None, field: str | None, empty: bool = False
) -> Features:
    """The features of a file that meet a raster.

    Args:
        file: Of any format that GDAL reads.
        grid: Of the raster.
        layer: The layer of the file; None: its only one.
        field: The field to read; None: none.
        empty: Whether it may hold nothing that meets the raster.

    Raises:
        InputError: It cannot be read, has no such layer or field, lies nowhere near the raster, or
            nobody can say where it lies.
    """
    layer = _layer(file, layer)
    info, wkb, columns = _read(file, layer, field, grid)
    count = len(wkb)
    if not count and not empty and info["features"] < 1:
        raise InputError(
            f"{file}: holds no feature; draw some, or add `empty: true` if there is nothing in"
            f" {grid.file.name}"
        )
    shapes, rows = _parts(wkb)
    shapes = _placed(shapes, file, grid, info)
    known = _finite(shapes)
    lost = count - len(np.unique(rows[known]))
    shapes, rows = shapes[known], rows[known]
    inside = _near(shapes, grid)
    if not inside.any() and not empty:
        raise InputError(
            f"{file}: no feature of it lies on {grid.file} ({_extent(shapes, grid)}); check the"
            f" coordinate systems ({info.get('crs') or 'none'}, {grid.system}), or add"
            " `empty: true` if there is nothing"
        )
    return Features(file, shapes[inside], rows[inside], columns, lost)


def _layer(file: Path, layer: str | None) -> str | None:
    if not file.exists():
        raise InputError(f"{file}: no such file; check the path")
    try:
        import pyogrio
        import shapely  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"{file}: pyogrio and shapely are needed to read features; pip install"
            " 'pixelwise[raster]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = [str(name) for name in pyogrio.list_layers(file)[:, 0]]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise _unreadable(file, error) from error
    if layer is not None:
        if layer not in layers:
            raise unknown("layer", layer, layers, f"of {file}")
        return layer
    if not layers:
        raise InputError(f"{file}: has no layer; check the file")
    if len(layers) > 1:
        raise InputError(f"{file}: has the layers {', '.join(layers[:8])}; name one with `layer:`")
    return layers[0]


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(f"{file}: is no vector file ({told(error)}); check the file")


def _read(
    file: Path, layer: str | None, field: str | None, grid: Grid
) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any] | None]:
    import pyogrio

    columns = [] if field is None else [field]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what GDAL says of single features is counted below
            about = pyogrio.read_info(file, layer=layer)
            known = [str(name) for name in about["fields"]]
            if field is not None and field not in known:
                raise unknown("field", field, known, f"of {file}")
            bounds = _bounds(grid, about["crs"]) if about["features"] > MANY else None
            info, _, wkb, found = pyogrio.raw.read(
                file, layer=layer, columns=columns, force_2d=True, bbox=bounds
            )
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.FeatureError,
        pyogrio.errors.GeometryError,
    ) as error:
        raise _unreadable(file, error) from error
    if wkb is None:
        raise InputError(f"{file}: has no geometries, only a table; check the file")
    return (
        {**info, "features": about["features"]},
        wkb,
        None if field is None else np.asarray(found[0]),
    )


def _bounds(grid: Grid, system: str | None) -> tuple[float, float, float, float] | None:
    """Where the raster lies in the system of a file, with a margin; None: nobody can say."""
    if grid.crs is None or system is None or grid.points:
        return None
    from rasterio.crs import CRS
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    ground = grid.to_ground(grid.outline())
    try:
        x, y = map(np.asarray, transform(grid.crs, CRS.from_user_input(system), *ground.T))
    except CRSError:
        return None
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    wide, high = np.ptp(x) * MARGIN, np.ptp(y) * MARGIN
    return (
        float(x.min() - wide), float(y.min() - high), float(x.max() + wide), float(y.max() + high)
    )  # fmt: skip


def _parts(wkb: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Geometries of one part, and the feature that each is of."""
    import shapely

    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    rows = np.arange(len(shapes), dtype=np.int64)
    for _ in range(8):  # collections in collections
        if not (shapely.get_type_id(shapes) > 3).any():
            break
        shapes, at = shapely.get_parts(shapes, return_index=True)
        rows = rows[at]
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    return shapes[there], rows[there]


def _placed(shapes: NDArray[Any], file: Path, grid: Grid, info: dict[str, Any]) -> NDArray[Any]:
    """The geometries in (column, row) of the raster."""
    import shapely

    if not len(shapes):
        return shapes
    if grid.points:
        raise InputError(
            f"{grid.file}: has ground control points in place of a transform, so that features"
            " cannot be placed on it; warp it first, with gdalwarp or in QGIS"
        )
    crs = None if grid.crs is None else _system(file, grid, info)
    flipped = grid.crs is None and grid.transform.is_identity and _is_below(shapes)

    def moved(places: NDArray[np.float64]) -> NDArray[np.float64]:
        return grid.to_pixels(places * [1, -1] if flipped else places, crs)

    return np.asarray(shapely.transform(shapes, moved))


def _system(file: Path, grid: Grid, info: dict[str, Any]) -> Any:
    """The coordinate reference system of a file."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    if info.get("crs") is None:
        raise InputError(
            f"{file}: has no coordinate reference system, but {grid.file} has {grid.system}; state"
            " it in the file (QGIS: Set Layer CRS, and export; a .prj beside a .shp)"
        )
    try:
        return CRS.from_user_input(info["crs"])
    except CRSError as error:
        raise InputError(
            f"{file}: its coordinate reference system is not understood ({told(error)}); save it in"
            f" {grid.system}"
        ) from error


def _is_below(shapes: NDArray[Any]) -> bool:
    """Whether they were drawn in QGIS on a picture that lies nowhere: rows are negative there."""
    import shapely

    bounds = shapely.bounds(shapes)
    return bool((bounds[:, 3] <= 0).all())


def _finite(shapes: NDArray[Any]) -> NDArray[np.bool_]:
    import shapely

    finite = np.ones(len(shapes), np.bool_)
    places, at = shapely.get_coordinates(shapes, return_index=True)
    finite[at[~np.isfinite(places).all(axis=1)]] = False
    return finite


def _near(shapes: NDArray[Any], grid: Grid) -> NDArray[np.bool_]:
    import shapely

    left, top, right, bottom = shapely.bounds(shapes).reshape(-1, 4).T
    return (left < grid.width) & (right > 0) & (top < grid.height) & (bottom > 0)


def _extent(shapes: NDArray[Any], grid: Grid) -> str:
    """Where features lie that meet no pixel."""
    import shapely

    if not len(shapes):
        return "none is near it"
    left, top, right, bottom = shapely.total_bounds(shapes)
    return (
        f"they are at columns {left:.0f} to {right:.0f} of {grid.width}, rows {top:.0f} to"
        f" {bottom:.0f} of {grid.height}"
    )
