"""Pictures whose values are unlike those of the training are rescaled by type, or refused."""

import numpy as np
import pytest
import torch

from pixelwise.data.fitting import Expected
from pixelwise.data.reading import Picture
from pixelwise.errors import InputError

PHOTO = Expected(255.0, "uint8", (0.0, 240.0, 255.0))
OLD = Expected(255.0)
DEEP = Expected(65535.0, "uint16", (0.0, 60000.0, 65535.0))
REFLECTANCE = Expected(1.0, "float32", (0.0, 0.3, 1.1))
HEIGHTS = Expected(1.0, "float32", (-20.0, 100.0, 3000.0))
DECIBEL = Expected(1.0, "float32", (-30.0, -8.0, 2.0))


def picture(low, high, dtype, *, kept=None):
    values = np.linspace(low, high, 12).astype(dtype).reshape(1, 3, 4)
    if values.dtype not in (np.uint8, np.uint16):
        values = values.astype(np.float32)
    return Picture(torch.from_numpy(values), kept, dtype)


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (PHOTO, (0, 1, "float32"), "values up to 1, from 0, but .* trained on 0 to 255"),
        (OLD, (0, 1, "float32"), "trained on 0 to 255"),
        (PHOTO, (-2, 2, "float32"), "values up to 2"),
        (PHOTO, (0, 4095, "uint16"), "up to 4095 in 16 bits, whose white may be 4095 or 65535"),
        (OLD, (0, 999, "uint16"), "values up to 999"),
        (PHOTO, (0, 1, "uint8"), "values up to 1"),
        (PHOTO, (0, 999, "float32"), "values up to 999"),
        (PHOTO, (0, 9999, "int16"), "values up to 9999"),
        (DEEP, (0, 4095, "uint16"), "trained on 0 to 65535"),
        (REFLECTANCE, (0, 255, "uint8"), "trained on 0 to 1.1"),
        (REFLECTANCE, (0, 10000, "uint16"), "trained on 0 to 1.1"),
        (REFLECTANCE, (-9999, 1, "float32"), "from -9999"),
        (HEIGHTS, (0, 300000, "float32"), "up to 300000"),
        (DECIBEL, (-30, 200, "float32"), "up to 200"),
    ],
)
def test_other_ranges_are_refused(network, given, message):
    with pytest.raises(InputError, match=rf"a\.tif: .*{message}.*--as-is"):
        network.fit(picture(*given), "a.tif")


@pytest.mark.parametrize(
    ("network", "given"),
    [
        (PHOTO, (0, 20, "uint8")),
        (PHOTO, (0, 0, "uint8")),
        (PHOTO, (0, 255, "float32")),
        (PHOTO, (0, 200, "int16")),
        (OLD, (3, 250, "uint8")),
        (DEEP, (0, 30000, "uint16")),
        (REFLECTANCE, (-0.02, 1.5, "float32")),
        (REFLECTANCE, (0, 0.1, "float64")),
        (HEIGHTS, (-60, 5000, "float32")),
        (DECIBEL, (-40, -3, "float32")),
        (Expected(1.0), (0, 1e6, "float32")),
    ],
)
def test_like_ranges_stay_as_they_are(network, given):
    found = picture(*given)
    assert network.fit(found, "a.tif") is found.values


def test_white_is_white_between_8_and_16_bits():
    assert PHOTO.fit(picture(0, 65535, "uint16"), "a").amax() == 255
    assert DEEP.fit(picture(0, 255, "uint8"), "a").amax() == 65535
    assert Expected(4095.0, "uint16", (0.0, 4000.0, 4095.0)).fit(
        picture(0, 255, "uint8"), "a"
    ).amax() == pytest.approx(4095)


def test_pixels_without_data_do_not_count():
    found = picture(0, 255, "float32")
    found.values[0, 0, 0] = torch.nan
    missing = torch.zeros(3, 4, dtype=torch.bool)
    missing[0, 0] = True
    PHOTO.fit(Picture(found.values, missing, "float32"), "a")
    PHOTO.fit(Picture(found.values, torch.ones(3, 4, dtype=torch.bool), "float32"), "a")
