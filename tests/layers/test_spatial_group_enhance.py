import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.spatial_group_enhance import SpatialGroupEnhance
from pixelwise.ops.running import choice

OPTIONS = {"sge": {"groups": 4}}
VARIANTS = {"sge": [{"groups": 8}, {"groups": 1}]}


def reconstruct(layer, x, at):
    row, column = at
    gates = layer.maps(x, at).spatial[:, :, row, column]
    return x[:, :, row, column] * gates.repeat_interleave(x.shape[1] // layer.groups, dim=1)


def test_starts_with_one_gate_for_all():
    x = torch.randn(2, 64, 4, 5)
    torch.testing.assert_close(SpatialGroupEnhance(64)(x), x * torch.tensor(1.0).sigmoid())


def test_gates_are_those_of_the_likeness_to_the_mean():
    layer = SpatialGroupEnhance(6, groups=2).double()
    torch.nn.init.normal_(layer.scale)
    x = torch.randn(2, 6, 3, 4).double()
    for group, own in enumerate((x[:, :3], x[:, 3:])):
        likeness = (own * own.mean((2, 3), keepdim=True)).sum(1)
        spread = likeness.flatten(1).std(1)[:, None, None] + 1e-5
        normal = (likeness - likeness.mean((1, 2), keepdim=True)) / spread
        wanted = torch.sigmoid(layer.scale[group] * normal + layer.shift[group])
        torch.testing.assert_close(layer.maps(x).spatial[:, group], wanted)


@pytest.mark.parametrize("form", ["plain", "lean"])
@pytest.mark.parametrize(
    "x", [torch.ones(1, 4, 1, 1), torch.zeros(2, 4, 3, 3)], ids=["pixel", "flat"]
)
def test_a_single_pixel_and_a_flat_map_have_numbers(form, x):
    layer = SpatialGroupEnhance(4, groups=2)
    torch.nn.init.ones_(layer.scale)
    x = x.clone().requires_grad_()
    with choice.forced(layer=form):
        y = layer(x)
    torch.testing.assert_close(y, x * torch.tensor(1.0).sigmoid())
    y.sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(("channels", "groups"), [(64, 64), (256, 64), (48, 16), (7, 1)])
def test_default_groups_divide_any_width(channels, groups):
    assert SpatialGroupEnhance(channels).groups == groups


def test_checkpoint():
    layer = SpatialGroupEnhance(16, groups=8)
    state = {"weight": torch.randn(1, 8, 1, 1), "bias": torch.randn(1, 8, 1, 1)}
    layer.load_reference(state)
    assert torch.equal(layer.scale, state["weight"].flatten())


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (0, "groups=0: must be at least 1; raise groups"),
        (64, "groups=64: must divide channels=32; give a divisor, or choose channels that are a"),
    ],
)
def test_bad_options(groups, message):
    with pytest.raises(InputError, match=message):
        SpatialGroupEnhance(32, groups=groups)
