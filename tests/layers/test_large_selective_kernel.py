import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.large_selective_kernel import LargeSelectiveKernel

VARIANTS = {"lsk": [{"projected": True}]}


def factor(layer, z, shares):
    near = layer.near(z)
    chosen = shares[:, :1] * layer.narrow_near(near)
    chosen = chosen + shares[:, 1:] * layer.narrow_far(layer.far(near))
    return layer.mix(chosen)


def reconstruct(layer, x, at):
    row, column = at
    return (x * factor(layer, x, layer.maps(x, at).spatial))[:, :, row, column]


def test_projected_output_follows_from_its_maps():
    layer = LargeSelectiveKernel(8, projected=True).double()
    x = torch.randn(2, 8, 7, 5).double()
    z = F.gelu(layer.project_in(x))
    gated = z * factor(layer, z, layer.maps(x).spatial)
    torch.testing.assert_close(layer(x), x + layer.project_out(gated))


def test_shares_are_between_0_and_1_and_need_not_sum_to_1():
    torch.manual_seed(0)
    shares = LargeSelectiveKernel(8).maps(5 * torch.randn(2, 8, 9, 11)).spatial
    assert shares.shape == (2, 2, 9, 11)
    assert shares.min() > 0
    assert shares.max() < 1
    assert (shares.sum(1) - 1).abs().max() > 0.05


def test_the_mean_comes_before_the_largest():
    layer = LargeSelectiveKernel(8).double()
    x = torch.randn(1, 8, 6, 5).double()
    near = layer.near(x)
    both = torch.cat([layer.narrow_near(near), layer.narrow_far(layer.far(near))], dim=1)
    pooled = torch.cat([both.mean(1, keepdim=True), both.amax(1, keepdim=True)], dim=1)
    torch.testing.assert_close(layer.maps(x).spatial, layer.choose(pooled).sigmoid())
    assert not torch.allclose(layer.choose(pooled.flip(1)), layer.choose(pooled), rtol=0.05)


def test_a_pixel_is_seen_fourteen_rows_and_columns_away():
    torch.manual_seed(0)
    layer = LargeSelectiveKernel(4).double()
    x = torch.randn(1, 4, 33, 35).double()
    other = x.clone()
    other[:, :, 16, 17] += 100.0
    rows, columns = (layer(x) != layer(other)).any(1)[0].nonzero().T
    assert 16 - 14 <= int(rows.min()) < 16 - 11
    assert 17 + 11 < int(columns.max()) <= 17 + 14


def test_an_odd_number_of_channels_works_and_one_does_not():
    assert LargeSelectiveKernel(5)(torch.randn(1, 5, 3, 4)).shape == (1, 5, 3, 4)
    with pytest.raises(InputError, match="channels=1: must be at least 2; raise channels"):
        LargeSelectiveKernel(1)
