import pytest
import torch
import torch.nn.functional as F

from pixelwise.ops.resizing import neighbours, resized, shares

SIDES = [(1, 1), (7, 4), (8, 4), (5, 1), (1, 6), (4, 9), (13, 5)]


@pytest.mark.parametrize(("side", "other"), SIDES)
@pytest.mark.parametrize("corners", [0, 1])
def test_shares_are_those_of_torch(side, other, corners):
    x = torch.randn(1, 1, side, 1).double()
    wanted = F.interpolate(x, (other, 1), mode="bilinear", align_corners=bool(corners))
    found = shares(side, other, x, corners=corners) @ x[0, 0]
    torch.testing.assert_close(found, wanted[0, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("side", "other"), SIDES)
@pytest.mark.parametrize("corners", [0, 1])
def test_neighbours_are_those_with_a_share(side, other, corners):
    taken = shares(other, side, torch.zeros(1).double(), corners=corners)
    for place in range(side):
        found = {pixel for pixel in range(other) if taken[place, pixel] > 1e-9}
        assert set(neighbours(place, side, other, corners=corners)) == found


@pytest.mark.parametrize("size", [(5, 9), (4, 4), (1, 1), (9, 17), (12, 3), (20, 30)], ids=str)
@pytest.mark.parametrize("corners", [False, True])
def test_resized_is_torchs(size, corners):
    x = torch.randn(2, 3, 9, 17).double().requires_grad_()
    wanted = F.interpolate(x, size, mode="bilinear", align_corners=corners)
    found, g = resized(x, size, corners), torch.randn_like(wanted)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    grads = (torch.autograd.grad(y, x, g)[0] for y in (found, wanted))
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_half_types_are_resized_by_torch():
    x = torch.randn(1, 2, 100, 120).bfloat16()
    wanted = F.interpolate(x, (37, 41), mode="bilinear", align_corners=True)
    assert torch.equal(resized(x, (37, 41), True), wanted)
