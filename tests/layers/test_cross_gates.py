import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.cross_gates import ChannelGateFromSpatial, SpatialGateFromChannel

OPTIONS = {"spatial_from_channel": {"reduction": 4}}
VARIANTS = {"channel_from_spatial": [{"kernel_size": 3}]}


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    if layer.key == "channel_from_spatial":
        gate = torch.einsum("bchw,bhw->bc", x, maps.spatial[:, 0])
        torch.testing.assert_close(maps.channel, gate)
    else:
        gate = torch.einsum("bc,bc->b", x[:, :, at[0], at[1]], maps.channel)[:, None]
        torch.testing.assert_close(maps.spatial[:, :, at[0], at[1]], gate)
    return gate * x[:, :, at[0], at[1]]


def test_output_grows_with_the_pixels_and_the_square():
    layer = ChannelGateFromSpatial(4).double()
    torch.nn.init.zeros_(layer.score.weight)
    x = torch.rand(1, 4, 6, 6).double()
    torch.testing.assert_close(layer(2 * x), 4 * layer(x))
    torch.testing.assert_close(layer(torch.cat([x, x], 3))[..., :6], 2 * layer(x))


def test_pixel_gate_may_be_negative():
    layer = SpatialGateFromChannel(4, hidden=1)
    torch.nn.init.ones_(layer.reduce.weight)
    torch.nn.init.constant_(layer.expand.weight, -1.0)
    assert layer.maps(torch.rand(1, 4, 3, 3)).spatial.max() < 0


def test_checkpoints():
    layer = SpatialGateFromChannel(32)
    state = {"fc1.weight": torch.randn(2, 32, 1, 1), "fc2.weight": torch.randn(32, 2, 1, 1)}
    layer.load_reference(state)
    assert torch.equal(layer.expand.weight, state["fc2.weight"][:, :, 0, 0])
    other = ChannelGateFromSpatial(32, kernel_size=3)
    other.load_reference({"conv.weight": torch.ones(1, 2, 3, 3)})
    assert torch.equal(other.score.weight, torch.ones(1, 2, 3, 3))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ChannelGateFromSpatial(8, kernel_size=4), "kernel_size=4: must be odd; take one"),
        (lambda: ChannelGateFromSpatial(8, kernel_size=0), "kernel_size=0: must be at least 1"),
        (
            lambda: SpatialGateFromChannel(8),
            "reduction=16: must not exceed channels=8; lower it, or give the width as hidden",
        ),
        (lambda: SpatialGateFromChannel(8, hidden=0), "hidden=0: must be at least 1; raise hidden"),
    ],
)
def test_bad_options(build, message):
    with pytest.raises(InputError, match=message):
        build()
