import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.space_to_depth import SpaceToDepth


def output_shape(layer, x):
    b, _, h, w = x.shape
    return b, layer.conv.out_channels, h // layer.factor, w // layer.factor


def random(**options):
    torch.manual_seed(0)
    layer = SpaceToDepth(4, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


OPTIONS_ALL = [
    {},
    {"factor": 3, "kernel_size": 1, "out_channels": 5, "activation": "relu"},
    {"factor": 2, "kernel_size": 5, "norm": False, "activation": "none"},
    {"factor": 4, "kernel_size": 2, "norm": False},
    {"factor": 1},
]


@pytest.mark.parametrize("options", OPTIONS_ALL, ids=str)
def test_one_strided_convolution_is_the_same(options):
    layer, x = random(**options).eval(), torch.randn(2, 4, 12, 24).double()
    one = layer.fused()
    assert one.stride == (layer.factor, layer.factor)
    y = layer.activation(layer.norm(one(x)))
    torch.testing.assert_close(layer(x), y)
    assert layer.keeps_shape == (y.shape == x.shape)


def test_the_one_convolution_has_the_type_of_the_layer():
    assert SpaceToDepth(4).bfloat16().fused().weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0}, "factor=0: must be at least 1"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"out_channels": 0}, "out_channels=0: must be at least 1"),
        ({"activation": "gelu"}, "activation='gelu': must be one of 'silu', 'relu', 'none'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        SpaceToDepth(8, **options)


def test_the_factor_divides_the_map():
    with pytest.raises(InputError, match="'spd' must be multiples of 2"):
        SpaceToDepth(8)(torch.randn(1, 8, 9, 8))
