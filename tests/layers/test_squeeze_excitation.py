import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.squeeze_excitation import SqueezeExcitation

OPTIONS = {"se": {"reduction": 4}}
VARIANTS = {
    "se": [
        {"hidden": 3, "norm": True, "add_max": True, "bias": False},
        {"hidden": 3, "activation": "silu", "gate": "hard_sigmoid"},
    ]
}


def reconstruct(layer, x, at):
    return x[:, :, at[0], at[1]] * layer.maps(x, at).channel


def test_squeezes_by_the_mean_and_the_maximum():
    layer = SqueezeExcitation(8, hidden=8, bias=False, add_max=True, activation="silu")
    torch.nn.init.eye_(layer.reduce.weight)
    torch.nn.init.eye_(layer.expand.weight)
    x = torch.randn(2, 8, 3, 4)
    squeezed = 0.5 * x.mean((2, 3)) + 0.5 * x.amax((2, 3))
    wanted = torch.nn.functional.silu(squeezed).sigmoid()
    torch.testing.assert_close(layer.maps(x).channel, wanted)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "hard_swish"])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
def test_gates_lie_between_zero_and_one(activation, gate):
    layer = SqueezeExcitation(16, reduction=2, activation=activation, gate=gate)
    x = 20 * torch.randn(2, 16, 3, 4)
    gates = layer.maps(x).channel
    assert (gates >= 0).all()
    assert (gates <= 1).all()
    torch.testing.assert_close(layer(x), x * gates[:, :, None, None])
    names = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "hard_swish": nn.Hardswish}
    inner = names[activation]()(layer.reduce(x.mean((2, 3))))
    outer = nn.Sigmoid() if gate == "sigmoid" else nn.Hardsigmoid()
    torch.testing.assert_close(gates, outer(layer.expand(inner)))


def test_norm_runs_over_the_images_and_needs_two():
    layer = SqueezeExcitation(16, reduction=2, norm=True)
    x = torch.randn(3, 16, 2, 2)
    layer(x)
    mean = layer.reduce(x.mean((2, 3))).mean(0)
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * mean)
    with pytest.raises(InputError, match="batch of 1 and must have at least 2"):
        layer(x[:1])
    layer.eval()(x[:1])
    SqueezeExcitation(16, reduction=2)(x[:1])


@pytest.mark.parametrize(
    ("names", "bias", "norm"),
    [
        (("fc1", "fc2"), True, False),
        (("fc1", "fc2"), True, True),
        (("conv_reduce", "conv_expand"), True, False),
        (("fc.0", "fc.2"), False, False),
    ],
)
def test_key_layouts(names, bias, norm):
    layer = SqueezeExcitation(16, hidden=8, bias=bias, norm=norm).eval()
    first, second = names
    tail = () if first == "fc.0" else (1, 1)
    state = {f"{first}.weight": torch.randn(8, 16, *tail)}
    state[f"{second}.weight"] = torch.randn(16, 8, *tail)
    if bias:
        state |= {f"{first}.bias": torch.randn(8), f"{second}.bias": torch.randn(16)}
    if norm:
        state |= {f"bn.{key}": value for key, value in nn.BatchNorm2d(8).state_dict().items()}
    layer.load_reference(state)
    assert torch.equal(layer.expand.weight, state[f"{second}.weight"].view(16, 8))


def test_the_other_line_is_refused():
    layer = SqueezeExcitation(16, hidden=8)
    state = {"fc.0.weight": torch.randn(8, 16), "fc.2.weight": torch.randn(16, 8)}
    with pytest.raises(InputError, match=r"missing: reduce\.bias .*, expand\.bias "):
        layer.load_reference(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1; raise reduction"),
        ({"reduction": 17}, "reduction=17: must not exceed channels=16; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1; raise hidden"),
        ({"activation": "tanh"}, "activation='tanh': must be one of 'relu', 'silu', 'gelu', 'h"),
        ({"gate": "relu"}, "gate='relu': must be one of 'sigmoid', 'hard_sigmoid'; use one"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        SqueezeExcitation(16, **options)
