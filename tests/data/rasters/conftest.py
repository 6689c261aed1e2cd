"""Small rasters, features on them, and data.yaml files of them."""

import json

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio", reason="rasters need rasterio")
pytest.importorskip("pyogrio", reason="features need pyogrio")
from pixelwise.data.rasters.files import without_place_warnings  # noqa: E402
from rasters_on_disk import STRAIGHT  # noqa: E402

UTM = "EPSG:32636"


@pytest.fixture
def raster(tmp_path):
    """Write numbers (bands, h, w) as a GeoTIFF."""

    def write(name, numbers, *, crs=UTM, transform=STRAIGHT, colormap=None, **about):
        numbers = np.asarray(numbers)
        count, height, width = numbers.shape
        size = {"count": count, "height": height, "width": width, "dtype": numbers.dtype}
        place = {"crs": crs, "transform": transform}
        with (
            without_place_warnings(),
            rasterio.open(tmp_path / name, "w", driver="GTiff", **size, **place, **about) as file,
        ):
            file.write(numbers)
            if colormap is not None:
                file.write_colormap(1, colormap)
        return tmp_path / name

    return write


@pytest.fixture
def image(raster):
    """Write a random 8-bit picture of three bands."""

    def write(name="ortho.tif", height=128, width=192, **about):
        rng = np.random.default_rng(0)
        return raster(name, rng.integers(0, 256, (3, height, width), np.uint8), **about)

    return write


@pytest.fixture
def features(tmp_path):
    """Write polygons, told in (column, row) of the raster, as GeoJSON."""

    def write(name, polygons, transform=STRAIGHT, crs=UTM, fields=None, kind="Polygon"):
        listed = []
        for i, rings in enumerate(polygons):
            placed = [[list(transform @ tuple(p)) for p in ring] for ring in rings]
            of = {key: told[i] for key, told in (fields or {}).items()}
            shape = {"type": kind, "coordinates": placed} if rings else None
            listed.append({"type": "Feature", "properties": of, "geometry": shape})
        content = {"type": "FeatureCollection", "features": listed}
        if crs is not None:
            name_of = f"urn:ogc:def:crs:EPSG::{crs.partition(':')[2]}"
            content["crs"] = {"type": "name", "properties": {"name": name_of}}
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def described(tmp_path):
    """Write a data.yaml."""

    def write(rasters, more="names: [background, building]\ntile: 64\n"):
        text = f"rasters:\n{''.join(f'  - {one}' + chr(10) for one in rasters)}{more}"
        (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "data.yaml"

    return write
