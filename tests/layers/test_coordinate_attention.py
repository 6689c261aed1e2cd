import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.coordinate_attention import CoordinateAttention

VARIANTS = {
    "coord": [
        {"shared": True, "reduction": 1},
        {"hidden": 3, "bias": False, "norm": False, "gate": "hard_sigmoid", "skip": True},
    ]
}


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


def test_options_of_timm():
    options = {"hidden": 3, "bias": False, "norm": False, "gate": "hard_sigmoid", "skip": True}
    layer, x = CoordinateAttention(8, **options).double(), torch.randn(2, 8, 4, 6).double()
    weights = [part.weight[:, :, 0] for part in (layer.reduce, layer.expand_rows)]
    hidden = torch.nn.Hardswish()(torch.einsum("oc,bch->boh", weights[0], x.mean(3)))
    rows = torch.nn.Hardsigmoid()(torch.einsum("oc,bch->boh", weights[1], hidden))
    columns = layer.maps(x).spatial / rows[..., None]
    torch.testing.assert_close(columns[:, :, 0], columns[:, :, 3])
    torch.testing.assert_close(layer(x), x + x * layer.maps(x).spatial)
    assert not [name for name, _ in layer.named_parameters() if "bias" in name or "norm" in name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1; raise reduction"),
        ({"hidden": 0}, "hidden=0: must be at least 1; raise hidden"),
        ({"gate": "relu"}, "gate='relu': must be one of 'sigmoid', 'hard_sigmoid'; use one"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        CoordinateAttention(8, **options)
