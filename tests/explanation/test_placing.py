import pytest
import torch

from pixelwise.explanation.placing import cell, cells, resampled


@pytest.mark.parametrize(
    ("at", "wanted"), [((0, 0), (0, 0)), ((7, 15), (1, 3)), ((3, 4), (0, 1)), ((4, 3), (1, 0))]
)
def test_the_cell_that_covers_a_pixel(at, wanted):
    assert cell(at, (2, 4), (8.0, 16.0)) == wanted
    assert (cells(8, 2, 8.0)[at[0]], cells(16, 4, 16.0)[at[1]]) == wanted


def test_cells_of_a_padded_picture_and_of_one_smaller_than_the_map():
    assert cells(5, 4, 8.0).tolist() == [0, 0, 1, 1, 2]
    assert cells(2, 8, 2.0).tolist() == [2, 6]
    assert cell((4, 0), (4, 1), (5.0, 3.0)) == (3, 0)


def test_weights_are_shared_by_area():
    weights = torch.tensor([[1.0, 2.0, 3.0]])
    assert resampled(weights, (1, 3)) is weights
    torch.testing.assert_close(resampled(weights, (1, 2)), torch.tensor([[2.0, 4.0]]))
    torch.testing.assert_close(
        resampled(weights, (2, 6)), torch.tensor([[1.0, 1, 2, 2, 3, 3]] * 2) / 4
    )
    uneven = resampled(torch.rand(5, 7), (3, 9))
    assert resampled(uneven, (4, 4)).sum() == pytest.approx(uneven.sum().item())
