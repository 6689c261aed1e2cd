"""SPNet's head: mixed pooling, twice, and how it resizes."""

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named

CHANNELS = [4, 6, 8, 16]


def spnet(channels=CHANNELS, **options):
    torch.manual_seed(0)
    return decoder_named("spnet")(channels, 3, **options).double().eval()


def test_the_parts_follow_each_other():
    head = spnet(modules=3)
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    y = head.reduce(x)
    for pooling in head.mixed:
        y = pooling(y)
    wanted = head.classify[-1](head.classify[0](y))
    assert len(head.mixed) == 3
    torch.testing.assert_close(head([x]), wanted)


def test_pooling_resizes_as_the_decoder_does():
    torch.manual_seed(0)
    model = create_model("spnet", "test_resnet", num_classes=3).eval()
    assert model.decoder.align_corners
    other = create_model("spnet", "test_resnet", num_classes=3, align_corners=False).eval()
    assert not any(part.align_corners for part in other.decoder.mixed)
    other.load_state_dict(model.state_dict())
    features = model.backbone(torch.randn(1, 3, 64, 96))
    assert not torch.allclose(model.decoder(features), other.decoder(features))


def test_size_for_2048_channels():
    """1x1 to 1024, twice mixed pooling of 1024, 3x3 to 512, 1x1 to the classes."""
    with torch.device("meta"):
        head = decoder_named("spnet")([2048], 150)
    c, m = 1024, 256
    pooling = 2 * (c * m + 2 * m) + 5 * (9 * m * m + 2 * m) + 2 * (3 * m * m + 2 * m)
    pooling += 2 * m * c + 2 * c
    last = 9 * c * 512 + 2 * 512 + 512 * 150 + 150
    counted = sum(p.numel() for p in head.parameters())
    assert counted == 2048 * c + 2 * c + 2 * pooling + last


def test_a_single_pixel_and_a_single_map():
    assert spnet([16])([torch.randn(1, 16, 1, 1).double()]).shape == (1, 3, 1, 1)
    assert spnet([16]).auxiliary_weights == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 3}, "width=3: must be at least 4"),
        ({"modules": 0}, "modules=0: must be at least 1"),
        ({"pool_sizes": (3,)}, r"pool_sizes=\(3,\): must be the bins of two levels; e\.g\."),
        ({"pool_sizes": (3, 0)}, "pool_sizes=0: must be at least 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        spnet(**options)
