import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.context_anchor_attention import ContextAnchorAttention

VARIANTS = {
    "caa": [
        {"norm": False, "activation": "none"},
        {"kernel_size": (3, 13), "activation": "relu"},
        {"kernel_size": 1, "norm": False, "activation": "hard_swish"},
    ]
}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_gate_of_pkinet():
    layer = ContextAnchorAttention(6, kernel_size=(5, 9), norm=False, activation="none").double()
    x = torch.randn(2, 6, 10, 7).double()
    near = F.pad(x, (3, 3, 3, 3)).unfold(2, 7, 1).unfold(3, 7, 1).sum((4, 5)) / 49
    mixed = torch.einsum("oc,bchw->bohw", layer.reduce[0].weight[:, :, 0, 0], near)
    mixed = mixed + layer.reduce[0].bias[:, None, None]
    rows = F.conv2d(F.pad(mixed, (4, 4)), layer.along_rows.weight, groups=6)
    rows = rows + layer.along_rows.bias[:, None, None]
    both = F.conv2d(F.pad(rows, (0, 0, 2, 2)), layer.along_columns.weight, groups=6)
    both = both + layer.along_columns.bias[:, None, None]
    out = torch.einsum("oc,bchw->bohw", layer.expand[0].weight[:, :, 0, 0], both)
    gate = (out + layer.expand[0].bias[:, None, None]).sigmoid()
    torch.testing.assert_close(layer.maps(x).spatial, gate)
    torch.testing.assert_close(layer(x), x * gate)


def test_with_silu_no_gate_is_small():
    layer, x = ContextAnchorAttention(8), 30 * torch.randn(2, 8, 9, 9)
    assert layer.maps(x).spatial.min() > 0.43


def test_norms_are_the_authors():
    layer = ContextAnchorAttention(8)
    norms = [part for part in layer.modules() if isinstance(part, nn.BatchNorm2d)]
    assert [(norm.eps, norm.momentum) for norm in norms] == [(1e-3, 0.03)] * 2
    assert [part[0].bias for part in (layer.reduce, layer.expand)] == [None, None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 10}, "kernel_size=10: must be odd; take one more or one less"),
        ({"kernel_size": (11, 4)}, r"kernel_size=\(11, 4\): must be odd; take one more"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1; raise kernel_size"),
        ({"activation": "tanh"}, "activation='tanh': must be one of 'none', 'silu', 'relu', 'le"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ContextAnchorAttention(8, **options)
