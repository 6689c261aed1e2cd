"""Gradient energy against its definition, for modules whose Jacobian is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.receptive import Energy, below, disturbed, gradient_energy

SIZE = (9, 8)


def energy(run, at, n=2, channels=3):
    x = torch.randn(n, channels, *SIZE, generator=torch.Generator().manual_seed(0)).double()
    return gradient_energy(run, x, [at])[0].numpy()


def test_of_a_convolution_is_its_squared_kernel():
    convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    found = energy(convolution, (4, 5), channels=1)
    wanted = np.zeros(SIZE)
    wanted[3:6, 4:7] = convolution.weight.detach()[0, 0] ** 2
    assert np.allclose(found, wanted)


def test_signs_of_channels_do_not_cancel_on_average():
    convolution = nn.Conv2d(3, 8, 1, bias=False).double()
    found = energy(convolution, (0, 0), n=400)
    assert found[0, 0] == pytest.approx(float((convolution.weight.detach() ** 2).sum()), rel=0.1)
    assert np.count_nonzero(found) == 1


def test_of_an_output_of_constants_is_zero():
    assert not energy(lambda x: torch.ones_like(x), (4, 4)).any()
    assert not energy(lambda x: x.detach() + nn.Parameter(torch.ones(1)), (4, 4)).any()


def test_pixels_in_batches_are_those_one_by_one():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    x, pixels = torch.randn(2, 3, *SIZE), [(0, 0), (4, 5), (8, 7)]
    together = gradient_energy(network, x, pixels, batch=2)
    for pixel, one in zip(pixels, together, strict=True):
        assert torch.allclose(gradient_energy(network, x, [pixel])[0], one)


def test_gradients_are_found_inside_of_no_grad_and_left_nowhere():
    convolution = nn.Conv2d(3, 1, 1)
    with torch.no_grad():
        assert energy(convolution.double(), (4, 4))[4, 4] > 0
    assert convolution.weight.grad is None


@pytest.mark.parametrize("at", [(9, 0), (0, 8), (-1, 0)])
def test_refuses_a_pixel_outside(at):
    with pytest.raises(InputError, match=r"outside of an output of 9 rows and 8 columns; rows"):
        energy(nn.Identity(), at)


def test_refuses_what_is_no_map():
    with pytest.raises(InputError, match=r"output=\(1, 3\): must be one tensor"):
        energy(lambda x: x.mean((2, 3)), (0, 0))
    with pytest.raises(InputError, match=r"output=tuple: must be one tensor"):
        energy(lambda x: (x, x), (0, 0))


def test_radius_and_distances():
    values = np.zeros((7, 7))
    values[3, 3], values[3, 4], values[2, 2], values[3, 0] = 8, 5, 4, 1
    found = Energy((3, 3), values)
    assert found.radius(0.5) == 1
    assert found.radius(0.9) == pytest.approx(math.sqrt(2))
    assert found.radius(1.0) == 3
    assert found.by_distance == pytest.approx([8 / 18, 9 / 18, 0, 1 / 18])
    assert found.elsewhere == pytest.approx(10 / 18)
    assert not found.is_local
    with pytest.raises(InputError, match=r"share=0: must be above 0 and at most 1; give"):
        found.radius(0.0)


def test_without_energy_elsewhere_there_is_no_radius():
    values = np.zeros((3, 3))
    assert math.isnan(Energy((1, 1), values).elsewhere)
    values[1, 1] = 2
    assert Energy((1, 1), values).is_local
    assert math.isnan(Energy((1, 1), values).radius(0.5))


@pytest.mark.parametrize(
    ("at", "output", "size", "wanted"),
    [
        ((2, 3), (5, 5), (5, 5), (2, 3)),
        ((2, 3), (4, 4), (8, 8), (5, 7)),
        ((0, 3), (1, 4), (9, 2), (4, 1)),
    ],
)
def test_below(at, output, size, wanted):
    assert below(at, output, size) == wanted


def test_disturbed_moves_a_copy():
    module = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    nn.init.zeros_(module[1].weight)
    before = module.state_dict()["0.weight"].clone()
    moved = disturbed(module)
    assert not moved.training
    assert module.training
    assert moved[1].weight.all()
    assert torch.equal(module[0].weight, before)
    assert not torch.equal(moved[0].weight, before)
    assert torch.equal(disturbed(module, seed=0)[0].weight, moved[0].weight)
    assert torch.equal(disturbed(module, scale=0.0)[0].weight, before)
