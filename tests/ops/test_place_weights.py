import pytest
import torch

from pixelwise.ops.place_weights import NORMALISE, place_weights


@pytest.mark.parametrize("how", NORMALISE)
def test_rules(how):
    e = torch.tensor([[[1.0, 3.0, 2.0]]], dtype=torch.float64)
    wanted = {
        "sigmoid": 1 / (1 + torch.exp(-e)),
        "softmax": torch.exp(e) / torch.exp(e).sum(),
        "mean": e / 6,
        "mean_flow": (e - 1) / 3,
        "range": (e - 1) / 2,
    }[how]
    torch.testing.assert_close(place_weights(e, how), wanted)


@pytest.mark.parametrize("how", NORMALISE)
def test_images_do_not_meet_and_gradients_are_right(how):
    e = torch.randn(3, 1, 7, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(place_weights(e, how)[1:2], place_weights(e[1:2], how))
    assert torch.autograd.gradcheck(lambda scores: place_weights(scores, how), e)


@pytest.mark.parametrize("how", ["mean_flow", "range"])
def test_equal_scores_weigh_nothing(how):
    e = torch.ones(2, 1, 5, requires_grad=True)
    weights = place_weights(e, how)
    assert torch.equal(weights, torch.zeros(2, 1, 5))
    weights.square().sum().backward()
    assert torch.isfinite(e.grad).all()
