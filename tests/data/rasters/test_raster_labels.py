"""Labels that are rasters, on the same and on other grids."""

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from pixelwise.data.opening import open_data
from pixelwise.errors import InputError
from rasters_on_disk import STRAIGHT, whole

TURNED = Affine.translation(500000, 20000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
SPLIT = "tile: 64\nsplit: {val: 0.2, gap: 0}\n"
NAMED = f"names: [a, b, c]\n{SPLIT}"


def numbers(height=128, width=192, most=3, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, most, (1, height, width)).astype(dtype)


def opened(described, labels="l.tif", more=NAMED):
    return open_data(described([f"{{image: ortho.tif, labels: {labels}}}"], more))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_class_ids_of_any_type_on_the_same_grid(image, raster, described, dtype):
    image()
    raster("l.tif", numbers(dtype=dtype))
    assert (whole(opened(described)) == numbers()[0]).all()


def test_nodata_of_labels_and_of_the_raster_are_ignored(image, raster, described):
    picture = np.full((1, 128, 192), 7, np.int16)
    picture[0, :10] = -1
    raster("ortho.tif", picture, nodata=-1)
    labels = numbers()
    labels[0, 20:30] = 99
    raster("l.tif", labels, nodata=99)
    found = whole(opened(described))
    expected = labels[0].astype(int)
    expected[20:30] = expected[:10] = 255
    assert (found == expected).all()


@pytest.mark.parametrize("turned", [False, True])
def test_labels_on_another_grid_are_those_of_the_nearest_pixel(image, raster, described, turned):
    own = TURNED if turned else STRAIGHT
    image(transform=own)
    at = own @ Affine.translation(10.25, -6.25) @ Affine.scale(3, 2)
    labels = numbers(40, 50)
    raster("l.tif", labels, transform=at)
    column, row = np.meshgrid(np.arange(192) + 0.5, np.arange(128) + 0.5)
    x, y = (np.floor(v).astype(int) for v in (~at) @ (own @ (column, row)))
    inside = (x >= 0) & (x < 50) & (y >= 0) & (y < 40)
    expected = np.full((128, 192), 255)
    expected[inside] = labels[0][y[inside], x[inside]]
    found = whole(opened(described))
    assert inside.any()
    assert not inside.all()
    assert (found == expected).all()


def test_labels_in_another_system_are_reprojected(image, raster, described):
    from rasterio.warp import transform

    image()
    west, south, east, north = 499990.0, 19930.0, 500110.0, 20010.0
    (x0, x1), (y0, y1) = transform("EPSG:32636", "EPSG:4326", [west, east], [south, north])
    at = Affine((x1 - x0) / 60, 0, x0, 0, (y0 - y1) / 40, y1)
    labels = numbers(40, 60)
    raster("l.tif", labels, crs="EPSG:4326", transform=at)
    found = whole(opened(described))
    column, row = np.meshgrid(np.arange(192) + 0.5, np.arange(128) + 0.5)
    ground = STRAIGHT @ (column.ravel(), row.ravel())
    placed = transform("EPSG:32636", "EPSG:4326", *ground)
    x, y = (np.floor(v).astype(int) for v in (~at) @ tuple(map(np.asarray, placed)))
    assert (found.ravel() == labels[0][y, x]).mean() > 0.99


def test_a_plain_mask_of_the_same_size_fits_pixel_by_pixel(image, raster, described):
    image()
    raster("l.tif", numbers(), crs=None, transform=Affine.identity())
    assert (whole(opened(described)) == numbers()[0]).all()


def test_palettes_are_indices_or_colours(image, raster, described):
    image()
    colours = {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 2: (0, 0, 255, 255)}
    raster("l.tif", numbers(), colormap=colours)
    assert (whole(opened(described)) == numbers()[0]).all()
    more = 'map: {"#000000": 0, "#ff0000": b, "#0000ff": ignore}\n'
    found = whole(opened(described, more=NAMED + more))
    assert (found == np.where(numbers()[0] == 2, 255, numbers()[0])).all()


def test_numbers_keep_their_unit_and_what_is_unknown(image, raster, described):
    image()
    heights = np.random.default_rng(0).normal(5, 2, (1, 128, 192)).astype(np.float32)
    heights[0, :5] = np.nan
    heights[0, 5:9] = -9999
    raster("h.tif", heights, nodata=-9999)
    source = opened(described, "h.tif", f"values: {{height: {{scale: 2, unit: m}}}}\n{SPLIT}")
    assert source.kind == "values"
    assert source.units == {"height": "m"}
    found = whole(source)
    assert np.isnan(found[0, :9]).all()
    np.testing.assert_allclose(found[0, 9:], 2 * heights[0, 9:])


def test_bands_are_labels_that_overlap(image, raster, described):
    image()
    labels = np.concatenate([numbers(most=2), numbers(most=2)[:, ::-1]])
    raster("l.tif", labels)
    source = opened(described, more=f"names: [road, tree]\noverlapping: bands\n{SPLIT}")
    assert source.kind == "labels"
    assert (whole(source) == labels).all()


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"crs": "EPSG:32633"}, "EPSG:32633"),
        ({"transform": Affine(0.5, 0, 900000, 0, -0.5, 20000)}, "lies nowhere"),
        ({"crs": None, "transform": Affine.identity(), "size": (50, 60)}, "none"),
        ({"compress": "jpeg"}, "blur"),
        ({"dtype": np.float32, "plus": 0.5}, "whole numbers"),
        ({"plus": 40}, "say what they mean under `map:`"),
    ],
)
def test_labels_that_do_not_fit_are_told(image, raster, described, about, told):
    image()
    about = dict(about)
    labels = numbers(*about.pop("size", (128, 192)), dtype=about.pop("dtype", np.uint8))
    labels = labels + labels.dtype.type(about.pop("plus", 0))
    raster("l.tif", labels, **about)
    with pytest.raises(InputError, match="; ") as caught:
        whole(opened(described))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rasters_of_another_type_are_told(image, raster, described):
    image()
    raster("l.tif", numbers())
    far = STRAIGHT @ Affine.translation(500, 0)
    raster("deep.tif", numbers(dtype=np.uint16), transform=far)
    raster("d.tif", numbers(), transform=far)
    entries = ["{image: ortho.tif, labels: l.tif}", "{image: deep.tif, labels: d.tif}"]
    with pytest.raises(InputError, match="state `scale:`"):
        open_data(described(entries, NAMED))


def test_a_system_is_compared_by_meaning(image, raster, described):
    image()
    raster("l.tif", numbers(), crs=CRS.from_epsg(32636).to_wkt(version="WKT1_GDAL"))
    assert (whole(opened(described)) == numbers()[0]).all()
