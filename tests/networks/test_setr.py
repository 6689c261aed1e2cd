"""SETR's heads by the equations."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("options", [{}, {"convs": 2, "kernel_size": 1, "scale": 3}])
def test_the_classifier_commutes_with_the_last_enlarging(options, align):
    torch.manual_seed(0)
    head = decoder_named("setr")([6, 12], 3, width=8, **options).double().eval()
    head.align_corners = align
    x = torch.randn(2, 12, 2, 3, dtype=torch.float64)
    y = F.layer_norm(x.permute(0, 2, 3, 1), (12,), eps=1e-6).permute(0, 3, 1, 2)
    for step in head.steps:
        y = step(y)
        up = {"scale_factor": options.get("scale", 2), "mode": "bilinear", "align_corners": align}
        y = F.interpolate(y, **up)
    torch.testing.assert_close(head([x]), head.classify(y))


def test_a_plain_transformer_and_pictures_of_any_size():
    model = create_model("setr", "test_vit", num_classes=3, width=8).eval()
    with torch.no_grad():
        for size in ((1, 1), (37, 50)):
            assert model(torch.randn(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0: must be at least 1"),
        ({"convs": 0}, "convs=0: must be at least 1"),
        ({"scale": 0}, "scale=0: must be at least 1"),
        ({"kernel_size": 5}, "kernel_size=5: must be 1 or 3; use one of them"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        decoder_named("setr")([8], 3, **options)
