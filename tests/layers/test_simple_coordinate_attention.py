import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.simple_coordinate_attention import SimpleCoordinateAttention

VARIANTS = {
    "scoord": [
        {"hidden": 3, "bias": False, "skip": True},
        {"reduction": 1, "gate": "hard_sigmoid"},
    ]
}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


@pytest.mark.parametrize("skip", [False, True])
def test_one_gate_from_both_sums(skip):
    layer = SimpleCoordinateAttention(6, hidden=4, skip=skip).double()
    x = torch.randn(2, 6, 3, 5).double()
    rows = [layer.expand_rows(F.silu(layer.reduce(x[:, :, i].mean(2)))) for i in range(3)]
    columns = [layer.expand_columns(F.silu(layer.reduce(x[..., j].mean(2)))) for j in range(5)]
    gate = (torch.stack(rows, 2)[..., None] + torch.stack(columns, 2)[:, :, None]).sigmoid()
    torch.testing.assert_close(layer.maps(x).spatial, gate)
    torch.testing.assert_close(layer(x), x * (gate + skip))


def test_hidden_width_has_a_least():
    assert SimpleCoordinateAttention(16).reduce.out_features == 8
    assert SimpleCoordinateAttention(96).reduce.out_features == 16
    assert SimpleCoordinateAttention(96, hidden=5).reduce.out_features == 5


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
        SimpleCoordinateAttention(8, **options)
