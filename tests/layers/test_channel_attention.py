import pytest
import torch

from pixelwise.layers.channel_attention import ChannelAttention


def reconstruct(layer, x, at):
    pixel = x[:, :, at[0], at[1]]
    weights = layer.maps(x, at).channel
    return pixel + layer.gain * torch.einsum("bcd,bd->bc", weights, pixel)


def test_identity_at_initialisation():
    x = torch.randn(2, 16, 6, 5)
    assert torch.equal(ChannelAttention(16)(x), x)


def test_unlike_channels_are_preferred():
    x = torch.zeros(1, 3, 1, 4)
    x[0, 0] = x[0, 1] = 1
    weights = ChannelAttention(3).maps(x).channel[0]
    assert weights[0, 2] > weights[0, 1]
    torch.testing.assert_close(weights.sum(-1), torch.ones(3))


def test_float16_does_not_overflow():
    layer = ChannelAttention(8).half()
    torch.nn.init.ones_(layer.gain)
    x = (3.1 + 0.1 * torch.randn(1, 8, 96, 96)).half()
    assert x.float().square().sum((2, 3)).min() > torch.finfo(torch.float16).max
    y = layer(x)
    assert torch.isfinite(y).all()
    exact = layer.double()(x.double())
    assert (y.double() - exact).abs().max() < 0.05


def test_gain_of_mmsegmentation_has_no_axis():
    layer = ChannelAttention(8)
    layer.load_reference({"gamma.scale": torch.tensor(0.25)})
    assert layer.gain.item() == pytest.approx(0.25)
