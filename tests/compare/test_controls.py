import pytest
import torch

from pixelwise import cost
from pixelwise.compare.controls import control
from pixelwise.errors import InputError
from pixelwise.layers.base import FusionLayer
from pixelwise.layers.registry import available, create

MAPS = [(64, 20, 24), (128, 23, 30), (512, 12, 15)]


def fitting(channels, height, width):
    for key, kind in available().items():
        if key == "conv" or issubclass(kind, FusionLayer):
            continue
        layer = create(key, channels).eval().to("meta")
        if layer.keeps_shape:
            yield key, layer, torch.empty(1, channels, height, width, device="meta")


UNLIKE = {"simam", "emsa", "shuffle", "sge", "triplet"}
"""Almost without parameters: no convolution costs as little of both. A comparison tells how far."""


@pytest.mark.parametrize("size", MAPS, ids=str)
def test_every_layer_has_a_control_of_its_cost(size):
    channels, *rest = size
    looked = 0
    for key, layer, x in fitting(*size):
        asked = max(1, cost.parameters(layer)), cost.flops(layer, x)  # as a comparison asks
        found = control(channels, tuple(rest), *asked)
        made = create("conv", channels, **found.options).eval().to("meta")
        assert cost.parameters(made) == found.parameters
        assert cost.flops(made, x) == pytest.approx(found.operations, rel=1e-4)
        assert found.alike or key in UNLIKE, (key, found)
        looked += 1
    assert looked > 20


def test_the_nearest_is_told_where_none_is_alike():
    found = control(256, (12, 15), 98, 219_600)
    assert not found.alike
    assert 0.02 < found.difference < 0.1


@pytest.mark.parametrize(("parameters", "operations"), [(0, 5), (5, 0)])
def test_nothing_needs_no_control(parameters, operations):
    with pytest.raises(InputError, match="needs no control"):
        control(8, (4, 4), parameters, operations)
