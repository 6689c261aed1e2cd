"""Squared errors of heat maps, against the equations written out, and what does not count."""

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.losses import HEATMAP_LOSSES, heatmap_loss


def example(maps=3):
    torch.manual_seed(0)
    outputs, targets = torch.rand(2, 2, maps, 5, 4, dtype=torch.float64)
    return outputs.requires_grad_(), targets


def test_missing_points_do_not_count():
    outputs, targets = example()
    weights = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    value = heatmap_loss()(outputs, targets, weights)
    wanted = ((outputs - targets) ** 2)[weights > 0].mean()
    assert value.item() == pytest.approx(wanted.item())
    value.backward()
    assert (outputs.grad[weights == 0] == 0).all()


def test_points_of_offset_maps_count_alike():
    outputs, targets = example(6)
    weights = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    wanted = ((outputs - targets) ** 2)[0, :3].mean()
    assert heatmap_loss()(outputs, targets, weights).item() == pytest.approx(wanted.item())


@pytest.mark.parametrize("loss", HEATMAP_LOSSES)
def test_no_point_at_all(loss):
    outputs, targets = example()
    points = 1 if loss == "combined" else 3
    value = heatmap_loss(loss)(outputs, targets, torch.zeros(2, points, dtype=torch.float64))
    value.backward()
    assert value.item() == 0
    assert (outputs.grad == 0).all()


def test_published_losses_square_the_weight():
    outputs, targets = example()
    weights = torch.full((2, 3), 0.5, dtype=torch.float64)
    wanted = 0.25 * ((outputs - targets) ** 2).mean()
    assert heatmap_loss("joints_mse_whole")(outputs, targets, weights).item() == pytest.approx(
        wanted.item()
    )


def test_hardest_points_of_a_single_picture():
    outputs, targets = example()
    weights = torch.ones(1, 3, dtype=torch.float64)
    each = ((outputs - targets) ** 2)[:1].mean(dim=(2, 3))
    for hardest in (1, 2, 3, 8):
        value = heatmap_loss("ohkm", hardest=hardest)(outputs[:1], targets[:1], weights)
        wanted = each.sort(descending=True).values[:, :hardest].mean() / 2
        assert value.item() == pytest.approx(wanted.item())


def test_half_types_are_summed_in_float32():
    outputs = torch.full((1, 1, 64, 64), 3.0, dtype=torch.float16)
    value = heatmap_loss()(outputs, torch.zeros(1, 1, 64, 64), torch.ones(1, 1))
    assert value.dtype == torch.float32
    assert value.item() == 9.0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"loss": "msee"}, "did you mean 'mse'"), ({"hardest": 0}, "hardest=0: must be at least 1")],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        heatmap_loss(**options)


def test_maps_that_are_not_three_per_point():
    outputs, targets = example()
    with pytest.raises(InputError, match="needs 9 maps for 3 points, not 3"):
        heatmap_loss("combined")(outputs, targets, torch.ones(2, 3))
