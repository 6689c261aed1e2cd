import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.channel_prior_convolutional_attention import (
    ChannelPriorConvolutionalAttention,
)

VARIANTS = {"cpca": [{"hidden": 3}]}


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    pixel = F.gelu(layer.mix(x))[:, :, at[0], at[1]] * maps.channel
    weighed = pixel * maps.spatial[:, :, at[0], at[1]]
    return F.linear(weighed, layer.mix.weight.flatten(1), layer.mix.bias)


def test_channel_gates_are_a_sum_of_two_sigmoids():
    layer = ChannelPriorConvolutionalAttention(8).double()
    x = torch.randn(2, 8, 5, 6).double()
    z = F.gelu(layer.mix(x))
    gate = 0
    for pool in (z.mean((2, 3)), z.amax((2, 3))):
        gate = gate + layer.expand(layer.reduce(pool).relu()).sigmoid()
    torch.testing.assert_close(layer.maps(x).channel, gate)


def test_strips_are_one_kernel_of_21x21_away_from_the_border():
    """The sum is a 5x5, then an impulse and three outer products, and biases that add up."""
    layer = ChannelPriorConvolutionalAttention(4).double()
    v = torch.randn(1, 4, 30, 31).double()
    kernel, bias = torch.zeros(4, 1, 21, 21).double(), 0
    kernel[:, :, 10, 10] = 1
    for rows, columns in zip(layer.rows, layer.columns, strict=True):
        margin = 10 - rows.weight.shape[3] // 2
        kernel += F.pad(columns.weight * rows.weight, (margin,) * 4)
        bias = bias + columns.bias + rows.bias * columns.weight.sum((1, 2, 3))
    s = F.conv2d(layer.square(v), kernel, bias, groups=4)
    torch.testing.assert_close(layer._weights(v)[:, :, 10:-10, 10:-10], layer.mix(s))


def test_one_convolution_stands_in_three_places():
    layer = ChannelPriorConvolutionalAttention(8)
    calls = []
    layer.mix.register_forward_hook(lambda *_: calls.append(1))
    layer(torch.randn(1, 8, 4, 4))
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1; raise reduction"),
        ({"reduction": 9}, "reduction=9: must not exceed channels=8; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1; raise hidden"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ChannelPriorConvolutionalAttention(8, **options)
