import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.normalisation_attention import NormalisationAttention

OPTIONS = {"nam": {"detached": False}}  # a stopped gradient is not that of the formula
VARIANTS = {"nam": [{"detached": True}]}


def reconstruct(layer, x, at):
    return x[:, :, at[0], at[1]] * layer.maps(x, at).spatial[:, :, at[0], at[1]]


def scaled(*scales, **options):
    layer = NormalisationAttention(len(scales), **options).double().eval()
    with torch.no_grad():
        layer.norm.weight.copy_(torch.tensor(scales))
        layer.norm.bias.normal_()
        layer.norm.running_mean.normal_()
        layer.norm.running_var.uniform_(0.5, 2)
    return layer


def test_gate_is_the_norm_times_the_share_of_the_scales():
    layer = scaled(1.0, -2.0, 5.0)
    x = torch.randn(2, 3, 4, 5).double()
    norm = layer.norm
    for c, share in enumerate((1 / 8, 2 / 8, 5 / 8)):
        z = (x[:, c] - norm.running_mean[c]) / (norm.running_var[c] + norm.eps).sqrt()
        gate = (share * (z * norm.weight[c] + norm.bias[c])).sigmoid()
        torch.testing.assert_close(layer(x)[:, c], x[:, c] * gate)


def test_shares_are_constants_for_gradients_where_detached():
    """A scale changes the shares of the others: that gradient alone is missing."""
    x = torch.randn(1, 3, 4, 5).double()
    found = []
    for detached in (True, False):
        torch.manual_seed(0)
        layer = scaled(1.0, -2.0, 5.0, detached=detached)
        gate = layer.maps(x).spatial
        found.append(torch.autograd.grad(gate[:, 0].sum(), layer.norm.weight)[0])
    assert found[0][0] != 0
    assert (found[0][1:] == 0).all()
    assert (found[1][1:] != 0).all()


def test_scales_of_zero_are_no_division_by_zero():
    layer = scaled(0.0, 0.0)
    x = torch.randn(1, 2, 3, 3).double()
    torch.testing.assert_close(layer(x), x / 2)


def test_halves_its_input_at_the_start():
    layer = NormalisationAttention(64).eval()
    x = torch.randn(1, 64, 4, 4)
    torch.testing.assert_close(layer(x), x / 2, rtol=0.05, atol=0.05)


def test_one_pixel_has_no_variance_to_train_on():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        NormalisationAttention(4).train()(torch.randn(1, 4, 1, 1))


def test_no_channels():
    with pytest.raises(InputError, match="channels=0: must be at least 1; raise channels"):
        NormalisationAttention(0)
