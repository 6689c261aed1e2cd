import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.spatial_channel_squeeze_excitation import SpatialChannelSqueezeExcitation

OPTIONS = {"scse": {"reduction": 4}}
VARIANTS = {"scse": [{"hidden": 3, "fusion": "max"}]}


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    pixel, spatial = x[:, :, at[0], at[1]], maps.spatial[:, :, at[0], at[1]]
    if layer.fusion == "max":
        return torch.maximum(pixel * maps.channel, pixel * spatial)
    return pixel * maps.channel + pixel * spatial


def test_the_larger_of_the_two_is_reconstructed_from_the_maps():
    layer = SpatialChannelSqueezeExcitation(8, hidden=3, fusion="max").double()
    x = torch.randn(2, 8, 4, 5).double()
    torch.testing.assert_close(reconstruct(layer, x, (1, 2)), layer(x)[:, :, 1, 2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_larger_of_the_two_keeps_type_and_memory_format(dtype):
    layer = SpatialChannelSqueezeExcitation(8, hidden=3, fusion="max").to(dtype)
    x = torch.randn(2, 8, 4, 5).to(dtype, memory_format=torch.channels_last)
    y = layer(x)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_checkpoint():
    layer = SpatialChannelSqueezeExcitation(32)
    state = {
        "cSE.1.weight": torch.randn(2, 32, 1, 1),
        "cSE.1.bias": torch.randn(2),
        "cSE.3.weight": torch.randn(32, 2, 1, 1),
        "cSE.3.bias": torch.randn(32),
        "sSE.0.weight": torch.randn(1, 32, 1, 1),
        "sSE.0.bias": torch.randn(1),
    }
    layer.load_reference(state)
    assert torch.equal(layer.score.weight[0], state["sSE.0.weight"].flatten())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "reduction=16: must not exceed channels=8; lower it, or give the width as hidden"),
        ({"hidden": 0}, "hidden=0: must be at least 1; raise hidden"),
        ({"hidden": 2, "fusion": "mul"}, "fusion='mul': must be one of 'add', 'max'; use one"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        SpatialChannelSqueezeExcitation(8, **options)
