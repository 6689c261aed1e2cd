"""Whatever the pictures hold, predict gives a right mask or a line per picture."""

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from pixelwise.networks.config import ModelConfig
from pixelwise.networks.segmenter import Segmenter
from pixelwise.predict.images import predict_pictures

pytestmark = pytest.mark.slow


class Brightest(Segmenter):
    """The class of a pixel is its brightest band."""

    def __init__(self, **config):
        nn.Module.__init__(self)
        self.config = ModelConfig("none", "none", 3, **config)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, image):
        assert torch.isfinite(image).all()
        return self.gain * image[:, :3]


NETWORKS = {
    "old": Brightest(),
    "8 bits": Brightest(dtype="uint8", values=(0.0, 200.0, 255.0)),
    "16 bits": Brightest(scale=65535.0, dtype="uint16", values=(0.0, 50000.0, 65535.0)),
    "floats": Brightest(scale=1.0, dtype="float32", values=(0.0, 0.8, 1.0), nodata=(-9999.0,)),
}


@settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    network=st.sampled_from(sorted(NETWORKS)),
    dtype=st.sampled_from(["uint8", "int16", "uint16", "float32", "float64", "int32"]),
    high=st.sampled_from([1e-3, 1.0, 7.0, 255.0, 4095.0, 30000.0, 65535.0, 1e9, 1e30]),
    bands=st.sampled_from([1, 2, 3, 3, 3, 4]),
    hole=st.sampled_from([None, np.nan, np.inf, -9999.0]),
    as_is=st.booleans(),
)
def test_any_range_type_and_hole(tmp_path, network, dtype, high, bands, hole, as_is):
    rng = np.random.default_rng(bands)
    limit = np.iinfo(dtype).max if dtype[0] in "iu" else np.inf
    values = (rng.random((bands, 5, 7)) * min(high, limit)).astype(dtype)
    if hole is not None and (dtype.startswith("f") or (hole == -9999 and dtype[0] == "i")):
        values[:, 2, 3] = hole
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    model = NETWORKS[network]
    (done,) = predict_pictures(model, [tmp_path / "a.tif"], tmp_path / "out", as_is=as_is)
    if done.problem is not None:
        assert "\n" not in done.problem
        return
    mask = np.array(Image.open(done.files[0]))
    known = hole is not None and dtype.startswith("f") and not np.isfinite(hole)
    known |= hole == -9999 and (model.config.nodata != ()) and values[0, 2, 3] == -9999
    assert (mask == 255).sum() == int(known)
    if bands == 3 and hole is None:
        assert (mask == values.argmax(0)).all() or high > 1e6
