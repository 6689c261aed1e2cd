"""UPerNet equals its equations written plainly, and has the published size."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.errors import InputError
from pixelwise.networks.decoders.upernet import UPerNet

CHANNELS = [8, 12, 16, 24]
SIZES = [(13, 10), (7, 5), (4, 3), (2, 2)]


def maps(images=2):
    generator = torch.Generator().manual_seed(0)
    pairs = zip(CHANNELS, SIZES, strict=True)
    return [torch.randn(images, c, *size, generator=generator).double() for c, size in pairs]


def built(**options):
    torch.manual_seed(0)
    decoder = UPerNet(CHANNELS, 3, **({"width": 6} | options)).double().eval()
    for norm in decoder.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -0.2, 0.2)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return decoder


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("levels", [4, 2])
def test_is_its_equations(corners, levels):
    decoder, features = built(levels=levels), maps()
    decoder.align_corners = corners

    def up(y, like):
        return F.interpolate(y, like.shape[2:], mode="bilinear", align_corners=corners)

    *finer, x = features[-levels:]
    pairs = zip(decoder.grids, (1, 2, 3, 6), strict=True)
    means = [up(grid(F.adaptive_avg_pool2d(x, s)), x) for grid, s in pairs]
    pyramid = [decoder.top(torch.cat([x, *means], dim=1))]
    for lateral, z in zip(reversed(decoder.lateral), reversed(finer), strict=True):
        y = lateral(z)
        pyramid.insert(0, y + up(pyramid[0], y))
    smooth = [part(y) for part, y in zip(decoder.smooth, pyramid[:-1], strict=True)]
    smooth = [*smooth, pyramid[-1]]
    joined = torch.cat([smooth[0], *(up(y, smooth[0]) for y in smooth[1:])], dim=1)
    wanted = decoder.classify(decoder.join(joined))
    torch.testing.assert_close(decoder(features), wanted, rtol=1e-10, atol=1e-10)


def test_published_size():
    """60 M parameters with 150 classes, of which Swin-T has 27.5 M (Swin Transformer, table 3)."""
    with torch.device("meta"):
        decoder = UPerNet([96, 192, 384, 768], 150, auxiliary_width=256)
    assert round((sum(p.numel() for p in decoder.parameters()) + 27_519_354) / 1e6) == 60


def test_a_single_pixel_and_a_single_map():
    assert built()([x[..., :1, :1] for x in maps()]).shape == (2, 3, 1, 1)
    alone = UPerNet([24], 3, width=6).double().eval()
    assert alone.auxiliary_weights == {}
    assert alone(maps()[-1:]).shape == (2, 3, 2, 2)


def test_one_image_cannot_be_trained_on():
    with pytest.raises(InputError, match="got a batch of 1: must be at least 2 in training"):
        built().train()(maps(1))
    assert built(pool_scales=(2,)).train()(maps(1)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"width": 0}, "width=0: must be at least 1; raise"),
        ({"levels": 0}, "levels=0: must be at least 1; raise"),
        ({"pool_scales": (1, 0)}, "pool_scales=0: must be at least 1; raise"),
    ],
)
def test_options_out_of_range(options, told):
    with pytest.raises(InputError, match=told):
        built(**options)
