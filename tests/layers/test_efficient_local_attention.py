import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.efficient_local_attention import EfficientLocalAttention

PAPER = {"shared": True, "activation": "none"}
VARIANTS = {
    "ela": [
        {"kernel_size": 3, "bias": True, "skip": True, "gate": "hard_sigmoid"},
        {**PAPER, "groups": 2, "norm_groups": 4},
        {"norm": False, "activation": "relu"},
    ]
}


def reconstruct(layer, x, at):
    return x[:, :, at[0], at[1]] * layer.maps(x, at).spatial[:, :, at[0], at[1]]


@pytest.mark.parametrize("shared", [False, True])
def test_gates_are_convolutions_of_the_means_along_their_axis(shared):
    layer = EfficientLocalAttention(4, kernel_size=3, shared=shared, bias=True).double()
    x = torch.randn(2, 4, 5, 7).double()
    gates = []
    for axis, names in ((3, "rows"), (2, "rows" if shared else "columns")):
        mix = layer.get_submodule(f"mix_{names}")
        means = F.pad(x.mean(axis), (1, 1))
        before, here, after = mix.weight[:, 0, :, None].unbind(1)
        z = before * means[..., :-2] + here * means[..., 1:-1] + after * means[..., 2:]
        z = z + mix.bias[:, None]
        z = (z - z.mean((1, 2), keepdim=True)) / (
            z.var((1, 2), correction=0, keepdim=True) + 1e-5
        ).sqrt()
        gates.append((z * z.sigmoid()).sigmoid())
    wanted = gates[0][:, :, :, None] * gates[1][:, :, None, :]
    torch.testing.assert_close(layer.maps(x).spatial, wanted)
    torch.testing.assert_close(layer(x), x * wanted)


def test_the_input_is_added_where_asked_for():
    layer = EfficientLocalAttention(4, skip=True)
    x = torch.randn(1, 4, 5, 7)
    torch.testing.assert_close(layer(x), x + x * layer.maps(x).spatial)


@pytest.mark.parametrize(("activation", "least"), [("silu", 0.43), ("relu", 0.5), ("none", 0.05)])
def test_an_activation_before_the_gate_bounds_it_below(activation, least):
    layer = EfficientLocalAttention(64, activation=activation)
    with torch.no_grad():
        layer.norm_rows.weight.fill_(20.0)
        layer.norm_columns.weight.fill_(20.0)
    smallest = layer.maps(torch.randn(1, 64, 16, 16)).spatial.min().sqrt()
    assert smallest >= least if activation != "none" else smallest < least


def test_the_papers_form_shares_one_convolution():
    layer = EfficientLocalAttention(64, **PAPER, groups=8, norm_groups=16)
    names = {name: tuple(value.shape) for name, value in layer.named_parameters()}
    assert names == {
        "mix_rows.weight": (64, 8, 7),
        "norm_rows.weight": (64,),
        "norm_rows.bias": (64,),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size=4: must be odd; take one more or one less"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1; raise kernel_size"),
        ({"norm_groups": 3}, "norm_groups=3: must divide channels=8; lower it"),
        ({"groups": 5}, "groups=5: must divide channels=8; lower it"),
        ({"activation": "tanh"}, "activation='tanh': must be one of 'relu', 'silu', 'gelu'"),
        ({"gate": "relu"}, "gate='relu': must be one of 'sigmoid', 'hard_sigmoid'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        EfficientLocalAttention(8, **options)
