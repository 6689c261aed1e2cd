import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.coordinate_attention import CoordinateAttention

VARIANTS = {"coord": [{"shared": True, "reduction": 1}]}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_shared_gate_is_one_for_all_channels():
    layer = CoordinateAttention(16, shared=True).double()
    x = torch.randn(2, 16, 4, 6).double()
    assert layer.maps(x).spatial.shape == (2, 1, 4, 6)
    layer.eval()
    torch.testing.assert_close(layer(x), x * layer.maps(x).spatial)


def test_statistics_run_over_rows_and_columns_jointly():
    layer = CoordinateAttention(8)
    x = torch.randn(2, 8, 5, 9)
    layer(x)
    pooled = torch.cat([x.mean(3), x.mean(2)], 2)
    mean = layer.reduce(pooled).mean((0, 2))
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * mean)


def test_hidden_width_has_a_least():
    assert CoordinateAttention(64).reduce.out_channels == 8
    assert CoordinateAttention(64, reduction=2).reduce.out_channels == 32


def test_bad_options():
    with pytest.raises(InputError, match="reduction=0: must be at least 1; raise reduction"):
        CoordinateAttention(8, reduction=0)
