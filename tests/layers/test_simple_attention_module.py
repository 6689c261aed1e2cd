import math

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.simple_attention_module import SimpleAttentionModule
from pixelwise.ops.running import choice

VARIANTS = {"simam": [{"ease": 0.3}]}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_gates_are_those_of_the_unbiased_variance():
    x = torch.randn(2, 3, 4, 5).double()
    variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=1)
    gates = torch.sigmoid((x - mean) ** 2 / (4 * (variance + 0.1)) + 0.5)
    layer = SimpleAttentionModule(3, ease=0.1)
    torch.testing.assert_close(layer.maps(x).spatial, gates)
    torch.testing.assert_close(layer(x), x * gates)


def test_none_is_suppressed_and_both_directions_stand_out():
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 0, 0], x[0, 0, 2, 2] = 2.0, -2.0
    gates = SimpleAttentionModule(1).maps(x).spatial[0, 0]
    assert gates.min() == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert gates[0, 0] == pytest.approx(gates[2, 2].item())
    assert gates[0, 0] > gates[1, 1]


@pytest.mark.parametrize("form", ["plain", "lean"])
def test_a_single_pixel_has_a_number(form):
    x = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).requires_grad_()
    with choice.forced(layer=form):
        y = SimpleAttentionModule(2)(x)
    torch.testing.assert_close(y, x * torch.tensor(0.5).sigmoid())
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, torch.tensor(0.5).sigmoid().item()))


def test_a_large_mean_costs_no_digits():
    x = 100 + 0.1 * torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    layer = SimpleAttentionModule(4)
    gates, exact = layer.maps(x).spatial, layer.maps(x.double()).spatial
    assert (gates.double() - exact).abs().max() < 1e-3


def test_each_image_has_its_own_statistics():
    layer, x = SimpleAttentionModule(4), torch.randn(3, 4, 5, 6)
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))


@pytest.mark.parametrize("ease", [0.0, -1.0])
def test_bad_options(ease):
    with pytest.raises(InputError, match=rf"ease={ease}: must be above 0; the authors have ease="):
        SimpleAttentionModule(8, ease=ease)
