import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.global_context import GlobalContext


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    context = torch.einsum("bcij,bij->bc", x, maps.spatial[:, 0])
    pixel = x[:, :, at[0], at[1]]
    if layer.mul is not None:
        pixel = pixel * maps.channel
    return pixel + layer.add(context) if layer.add is not None else pixel


def test_identity_at_initialisation_and_half_with_mul():
    x = torch.randn(2, 16, 6, 5)
    assert torch.equal(GlobalContext(16)(x), x)
    torch.testing.assert_close(GlobalContext(16, fusions=("mul",))(x), x / 2)


@pytest.mark.parametrize("pooling", ["att", "avg"])
@pytest.mark.parametrize("fusions", [("add",), ("mul",), ("mul", "add")])
def test_every_option_keeps_its_maps_true(pooling, fusions):
    layer = GlobalContext(8, pooling=pooling, fusions=fusions, hidden=3).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    x = torch.randn(2, 8, 4, 6).double()
    torch.testing.assert_close(reconstruct(layer, x, (3, 1)), layer(x)[:, :, 3, 1])
    torch.testing.assert_close(layer.maps(x).spatial.sum((2, 3)), torch.ones(2, 1).double())


def test_both_fusions_see_the_input_and_order_does_not_matter():
    one, other = (GlobalContext(8, fusions=order) for order in [("add", "mul"), ("mul", "add")])
    other.load_state_dict(one.state_dict())
    x = torch.randn(1, 8, 3, 3)
    assert torch.equal(one(x), other(x))


def test_no_parameter_is_without_gradient():
    layer = GlobalContext(8, fusions=("add", "mul"))
    layer(torch.randn(2, 8, 3, 3)).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1"),
        ({"reduction": 9}, "reduction=9: must not exceed channels=8; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
        ({"pooling": "max"}, "pooling='max': must be one of 'att', 'avg'"),
        ({"fusions": ()}, r"fusions=\(\): must name 'add', 'mul' or both"),
        ({"fusions": ("add", "add")}, "must name 'add', 'mul' or both, once"),
        ({"fusions": ("sum",)}, "must name 'add', 'mul' or both"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        GlobalContext(8, **options)
