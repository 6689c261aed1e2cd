"""Pixels without data: NaN, infinity, values that a tag or data.yaml names."""

import numpy as np
import pytest
import tifffile
import torch

from pixelwise.data.missing import filled, find_missing
from pixelwise.data.normalise import Normalise
from pixelwise.data.reading import read_picture
from pixelwise.errors import InputError


@pytest.mark.parametrize(
    ("dtype", "tag", "stored"),
    [
        ("float32", "-9999", -9999),
        ("float32", "nan", np.nan),
        ("float32", None, np.inf),
        ("float32", "-3.4e+38", np.finfo(np.float32).min),
        ("float64", "-1.797693134862315e+308", np.finfo(np.float64).min),
        ("int16", "-32768", -32768),
        ("uint16", "65535\0", 65535),
        ("uint8", "0", 0),
        ("uint32", "4294967295", 2**32 - 1),
    ],
)
def test_a_tag_or_the_value_itself_says_that_there_is_no_data(tmp_path, dtype, tag, stored):
    values = np.arange(1, 36).reshape(5, 7).astype(dtype)
    values[2, :3] = stored
    tags = [] if tag is None else [(42113, "s", 0, tag, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=tags)
    picture = read_picture(tmp_path / "a.tif")
    assert picture.missing.nonzero().tolist() == [[2, 0], [2, 1], [2, 2]]


def test_a_tag_that_is_no_number_is_named(tmp_path):
    tag = (42113, "s", 0, "none", True)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 7)), extratags=[tag])
    with pytest.raises(InputError, match="GDAL_NODATA='none': must be a number"):
        read_picture(tmp_path / "a.tif")


def test_one_band_suffices_unless_the_value_is_a_colour():
    image = np.ones((3, 1, 4), np.float32)
    image[0, 0, 1], image[:, 0, 2] = -9999, -9999
    assert find_missing(image, [-9999.0]).tolist() == [[False, True, True, False]]
    colours = np.ones((3, 1, 4), np.uint8)
    colours[0, 0, 1], colours[:, 0, 2] = 0, 0
    assert find_missing(colours, [0.0]).tolist() == [[False, False, True, False]]
    assert find_missing(colours, [-9999.0, 0.5, 300.0]) is None


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_filled_pixels_are_0_for_the_network(dtype):
    image = torch.full((2, 3, 4), 200).to(dtype)
    missing = torch.zeros(3, 4, dtype=torch.bool)
    missing[1, 2] = True
    mean, std = (0.25, 0.75), (0.5, 0.5)
    inputs = Normalise(mean, std, 255.0)(filled(image, missing, mean, 255.0))
    assert inputs[:, 1, 2].abs().max() < 0.005
    assert (inputs[:, 0, 0] == Normalise(mean, std, 255.0)(image)[:, 0, 0]).all()
    assert filled(image, None, mean, 255.0) is image
