import pytest
import torch
import torch.nn.functional as F

from pixelwise.ops.resizing import neighbours, shares

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
