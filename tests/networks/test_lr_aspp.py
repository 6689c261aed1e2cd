"""The lite reduced pyramid: equal to torchvision's, under its names."""

import pytest
import torch
from torchvision.models.segmentation.lraspp import LRASPPHead

from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named

CHANNELS = [4, 8, 12, 16, 20]


def test_equals_torchvision():
    torch.manual_seed(0)
    theirs = LRASPPHead(12, 20, 3, 6).double().eval()
    ours = decoder_named("lr_aspp")(CHANNELS, 3, width=6).double().eval()
    ours.load_reference(theirs.state_dict())
    features = [
        torch.randn(2, c, side, side + 1).double()
        for c, side in zip(CHANNELS, (24, 12, 7, 4, 4), strict=True)
    ]
    torch.testing.assert_close(ours(features), theirs({"low": features[2], "high": features[4]}))


def test_published_size_of_the_network():
    """Torchvision's lraspp_mobilenet_v3_large has 3,221,538 parameters."""
    with torch.device("meta"):
        model = create_model("lr_aspp", num_classes=21)
    assert sum(p.numel() for p in model.parameters()) == 3_221_538
    assert model.backbone.reductions[2:] == [8, 16, 16]


def test_a_width_below_one_is_refused():
    with pytest.raises(InputError, match="width=0: must be at least 1"):
        decoder_named("lr_aspp")(CHANNELS, 3, width=0)
