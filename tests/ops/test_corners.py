"""One pixel of a resized map from its corners, and pooled weights spread over pixels."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.ops.corners import corners, spread

SIZES = [((7, 9), (3, 4)), ((5, 5), (5, 5)), ((6, 1), (3, 1)), ((1, 4), (1, 1)), ((3, 4), (6, 7))]


@pytest.mark.parametrize(("size", "source"), SIZES, ids=str)
def test_corners_are_those_of_a_resize(size, source):
    x = torch.randn(2, 3, *source).double()
    resized = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
    for row in range(size[0]):
        for column in range(size[1]):
            found = corners((row, column), size, source)
            assert sum(share for *_, share in found) == pytest.approx(1)
            assert all(share > 0 for *_, share in found)
            y = sum(share * x[:, :, i, j] for i, j, share in found)
            torch.testing.assert_close(y, resized[:, :, row, column])


def test_spread_keeps_the_weight_of_each_window():
    weights = torch.rand(2, 1, 2, 3).double()
    full = spread(weights, 3, (7, 11))
    assert full.shape == (2, 1, 7, 11)
    assert not full[:, :, 6].any()
    assert not full[:, :, :, 9:].any()
    torch.testing.assert_close(F.avg_pool2d(full, 3) * 9, weights)
    assert spread(weights, 1, (2, 3)) is weights
