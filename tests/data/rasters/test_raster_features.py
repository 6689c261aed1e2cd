"""Labels that are features, burnt into the tiles of a raster."""

import numpy as np
import pytest
from rasterio.transform import Affine

from pixelwise.data.opening import open_data
from pixelwise.errors import InputError
from rasters_on_disk import STRAIGHT, box, whole

TURNED = Affine.translation(500000, 20000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
SPLIT = "tile: 64\nsplit: {val: 0.2, gap: 0}\n"
TWO = f"names: [background, building]\n{SPLIT}"
THREE = f"names: [ground, house, road]\n{SPLIT}"


def opened(described, entry="labels: l.geojson", more=TWO):
    return open_data(described([f"{{image: ortho.tif, {entry}}}"], more))


@pytest.mark.parametrize("transform", [STRAIGHT, TURNED, STRAIGHT @ Affine.scale(1, -1)])
def test_holes_are_cut_out_and_tiles_know_nothing_of_each_other(
    image, features, described, transform
):
    image(transform=transform)
    features("l.geojson", [[box(10, 20, 150, 100), box(40, 40, 90, 80)]], transform)
    expected = np.zeros((128, 192), int)
    expected[20:100, 10:150] = 1
    expected[40:80, 40:90] = 0
    assert (whole(opened(described)) == expected).all()


def test_a_pixel_belongs_to_a_polygon_if_its_centre_is_inside(image, features, described):
    image()
    features("l.geojson", [[box(10.4, 20.6, 20.6, 30.4)]])
    expected = np.zeros((128, 192), int)
    expected[21:30, 10:21] = 1
    assert (whole(opened(described)) == expected).all()


def test_coordinates_of_another_system_are_taken_to_that_of_the_raster(
    image, features, described, tmp_path
):
    import json

    from rasterio.warp import transform_geom

    image()
    file = features("l.geojson", [[box(10, 20, 150, 100)]])
    content = json.loads(file.read_text())
    shape = content["features"][0]["geometry"]
    content["features"][0]["geometry"] = transform_geom("EPSG:32636", "EPSG:4326", shape)
    del content["crs"]
    file.write_text(json.dumps(content, default=list))
    found = whole(opened(described))
    expected = np.zeros((128, 192), int)
    expected[20:100, 10:150] = 1
    assert (found != expected).sum() < 30  # along the outline, by rounding


def test_later_features_are_seen_and_fields_name_classes(image, features, described):
    image()
    squares = [[box(0, 0, 50, 50)], [box(30, 30, 80, 80)], [box(60, 60, 70, 70)]]
    features("l.geojson", squares, fields={"kind": ["house", "street", "?"]})
    more = f"{THREE}map: {{street: road, '?': ignore}}\n"
    found = whole(opened(described, "labels: l.geojson, field: kind", more))
    expected = np.zeros((128, 192), int)
    expected[:50, :50], expected[30:80, 30:80], expected[60:70, 60:70] = 1, 2, 255
    assert (found == expected).all()


def test_numbers_of_a_field_are_class_ids(image, features, described):
    image()
    squares = [[box(0, 0, 50, 50)], [box(30, 30, 80, 80)]]
    features("l.geojson", squares, fields={"id": [2, 1]})
    found = whole(opened(described, "labels: l.geojson, field: id", THREE))
    assert (found[10, 10], found[40, 40], found[100, 100]) == (2, 1, 0)


def test_a_file_per_class_or_per_label(image, features, described):
    image()
    features("h.geojson", [[box(0, 0, 50, 50)]])
    features("r.geojson", [[box(30, 30, 80, 80)]])
    entry = "labels: {house: h.geojson, road: r.geojson}"
    found = whole(opened(described, entry, THREE))
    assert (found[10, 10], found[40, 40], found[60, 60], found[100, 100]) == (1, 2, 2, 0)
    more = f"names: [house, road]\noverlapping: files\n{SPLIT}"
    found = whole(opened(described, entry, more))
    assert found[:, 40, 40].tolist() == [1, 1]
    assert found[:, 60, 60].tolist() == [0, 1]


def test_outside_of_the_area_nothing_is_known(image, features, described):
    image()
    features("l.geojson", [[box(10, 20, 150, 100)]])
    features("a.geojson", [[box(5, 5, 100, 60)]])
    source = opened(described, "labels: l.geojson, area: a.geojson", f"{TWO[:-1]}\n")
    found = [source.split(s).windows for s in source.splits]
    assert sum(map(len, found)) < 6  # tiles of which nothing is known are left out
    mask = whole(source)
    assert (mask[30, 30], mask[10, 10], mask[62, 30]) == (1, 0, 255)


def test_outside_of_features_may_be_unknown(image, features, described):
    image()
    squares = [[box(0, 0, 50, 50)], [box(70, 10, 90, 30)]]
    features("l.geojson", squares, fields={"id": [0, 1]})
    entry = "labels: l.geojson, field: id"
    mask = whole(opened(described, entry, f"names: [a, b]\nbackground: ignore\n{SPLIT}"))
    assert (mask[10, 10], mask[20, 80], mask[10, 60]) == (0, 1, 255)
    with pytest.raises(InputError, match="nothing says what is outside"):
        opened(described, entry, f"names: [a, b]\n{SPLIT}")


def test_numbers_are_burnt_too(image, features, described):
    image()
    squares = [[box(0, 0, 50, 50)], [box(70, 10, 90, 30)], [box(130, 10, 150, 20)]]
    features("l.geojson", squares, fields={"height": [2.5, None, 3]})
    more = f"values: [height]\n{SPLIT}"
    found = whole(opened(described, "labels: l.geojson, field: height", more))
    assert found[0, 10, 10] == 2.5
    assert not found[0, 20, 80] > 0  # unknown


def test_a_raster_without_a_place_takes_coordinates_as_pixels(image, features, described):
    for sign in (1, -1):  # QGIS counts rows downwards from 0
        image(crs=None, transform=Affine.identity())
        flip = Affine.scale(1, sign)
        features("l.geojson", [[box(10, 20, 150, 100)]], flip, crs=None)
        found = whole(opened(described))
        assert found[20:100, 10:150].all()
        assert found.sum() == 80 * 140


def test_crossed_and_multiple_polygons(image, features, described, tmp_path):
    image()
    crossed = [[10, 10], [50, 50], [50, 10], [10, 50], [10, 10]]
    features("l.geojson", [[crossed]])
    assert whole(opened(described)).sum() == pytest.approx(800, abs=50)
    text = features("l.geojson", [[box(10, 10, 50, 50)], [box(30, 30, 70, 70)]]).read_text()
    import json

    content = json.loads(text)
    parts = [one["geometry"]["coordinates"] for one in content["features"]]
    content["features"][0]["geometry"] = {"type": "MultiPolygon", "coordinates": parts}
    content["features"] = content["features"][:1]
    (tmp_path / "l.geojson").write_text(json.dumps(content))
    assert whole(opened(described)).sum() == 2 * 1600 - 400  # parts that overlap do not cancel


def test_features_without_geometry_are_counted(image, features, described):
    image()
    features("l.geojson", [[box(10, 10, 50, 50)], []])
    lines = opened(described).split("train").check().lines(("background", "building"))
    assert any("1 features of l.geojson have no geometry" in line for line in lines)


@pytest.mark.parametrize(
    ("entry", "polygons", "told"),
    [
        ("labels: l.geojson", [[box(900, 900, 950, 950)]], "no feature of it lies on"),
        ("labels: l.geojson", [], "holds no feature"),
        ("labels: l.geojson, field: clas", [[box(0, 0, 50, 50)]], "did you mean 'class'?"),
        ("labels: l.geojson, field: class", [[box(0, 0, 50, 50)]], "'shed' in 1 features"),
        ("labels: l.geojson, value: 7", [[box(0, 0, 50, 50)]], "value=7"),
        ("labels: l.geojson, layer: x", [[box(0, 0, 50, 50)]], "unknown layer"),
        ("labels: no.geojson", [[box(0, 0, 50, 50)]], "is not there"),
        ("labels: ortho.tif, field: class", [[box(0, 0, 50, 50)]], "is for features"),
        ("labels: l.geojson, fields: class", [[box(0, 0, 50, 50)]], "unknown key of rasters"),
        ("labels: l.geojson, area: ortho.tif", [[box(0, 0, 50, 50)]], "must be a vector file"),
        ("labels: l.geojson, split: vla", [[box(0, 0, 50, 50)]], "unknown split"),
    ],
)
def test_features_that_do_not_fit_are_told(image, features, described, entry, polygons, told):
    image()
    features("l.geojson", polygons, fields={"class": ["shed"] * len(polygons)})
    with pytest.raises(InputError, match="; ") as caught:
        opened(described, entry)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_there_may_be_meant(image, features, described):
    image()
    features("l.geojson", [[box(900, 900, 950, 950)]])
    assert not whole(opened(described, "labels: l.geojson, empty: true")).any()


@pytest.mark.parametrize("name", ["建筑.gpkg", "b.shp", "b.fgb"])
def test_formats_of_gis(image, described, tmp_path, name):
    import pyogrio
    import shapely

    image()
    shapes = [shapely.Polygon([STRAIGHT @ tuple(p) for p in box(10, 20, 150, 100)])]

    def write(layer, **about):
        told = {"fields": ["kind"], "crs": "EPSG:32636", "geometry_type": "Polygon"}
        kinds = [np.array(["house"], object)]
        pyogrio.raw.write(
            tmp_path / name, shapely.to_wkb(shapes), kinds, layer=layer, **told, **about
        )

    write("one")
    found = whole(opened(described, f"labels: {name}, field: kind", THREE))
    assert (found == 1).sum() == 80 * 140
    if name.endswith(".gpkg"):
        write("two", append=True)
        with pytest.raises(InputError, match="has the layers one, two"):
            opened(described, f"labels: {name}, value: 1", THREE)
        assert whole(opened(described, f"labels: {name}, value: 1, layer: two", THREE)).any()


def test_of_large_files_only_what_is_near_is_read(image, features, described, monkeypatch):
    monkeypatch.setattr("pixelwise.data.rasters.features.MANY", 1)
    image()
    squares = [[box(10, 20, 50, 60)], [box(5000, 20, 5050, 60)]]
    features("l.geojson", squares)
    assert whole(opened(described)).sum() == 1600
    features("l.geojson", squares[1:] * 2)
    with pytest.raises(InputError, match="no feature of it lies on"):
        opened(described)


@pytest.mark.parametrize(("module", "needed"), [("rasterio", "rasterio"), ("pyogrio", "pyogrio")])
def test_what_is_not_installed_is_told(image, features, described, monkeypatch, module, needed):
    import sys

    image()
    features("l.geojson", [[box(10, 20, 50, 60)]])
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"{needed}.*; pip install 'pixelwise\[raster\]'"):
        opened(described)


def test_a_damaged_file_is_told(image, described, tmp_path):
    image()
    (tmp_path / "l.gpkg").write_bytes(b"no database")
    with pytest.raises(InputError, match="is no vector file"):
        opened(described, "labels: l.gpkg")
