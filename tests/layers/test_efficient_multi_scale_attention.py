import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from pixelwise.ops.running import choice

OPTIONS = {"emsa": {"groups": 4}}
VARIANTS = {"emsa": [{"groups": 8}, {"groups": 1}]}


def reconstruct(layer, x, at):
    row, column = at
    gates = layer.maps(x, at).spatial[:, :, row, column]
    return x[:, :, row, column] * gates.repeat_interleave(x.shape[1] // layer.groups, dim=1)


def shaken(channels, groups):
    torch.manual_seed(0)
    layer = EfficientMultiScaleAttention(channels, groups=groups).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def test_the_mean_behind_the_norm_is_its_bias_whatever_the_picture():
    layer, seen = shaken(8, 2), []
    layer.norm.register_forward_hook(lambda part, inputs, y: seen.append(y.mean((2, 3))))
    layer(torch.randn(2, 8, 5, 6).double())
    torch.testing.assert_close(seen[0], layer.norm.bias.expand(4, 4))


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 1), (2, 2), (5, 7)])
def test_the_mean_of_the_convolution_comes_from_sums_of_rows_and_columns(size):
    layer = shaken(12, 4)
    x = torch.randn(1, 12, *size).double()
    with choice.forced(layer="plain"):
        wanted = layer(x)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-11, atol=1e-11)


def test_groups_share_their_weights():
    layer, x = shaken(12, 3), torch.randn(2, 12, 5, 6).double()
    swapped = x.unflatten(1, (3, 4))[:, [2, 0, 1]].flatten(1, 2)
    wanted = layer(x).unflatten(1, (3, 4))[:, [2, 0, 1]].flatten(1, 2)
    torch.testing.assert_close(layer(swapped), wanted)
    assert layer.maps(x).spatial.shape == (2, 3, 5, 6)


def test_a_single_pixel_of_one_image_and_group():
    layer, x = shaken(4, 1), torch.randn(1, 4, 1, 1).double()
    for form in ("plain", "lean"):
        with choice.forced(layer=form):
            assert torch.isfinite(layer(x)).all()


@pytest.mark.parametrize(("channels", "groups"), [(32, 32), (256, 32), (48, 16), (7, 1)])
def test_default_groups_divide_any_width(channels, groups):
    assert EfficientMultiScaleAttention(channels).groups == groups


def test_checkpoint():
    layer, theirs = EfficientMultiScaleAttention(64), nn.Module()
    theirs.conv1x1, theirs.conv3x3 = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3)
    theirs.gn = nn.GroupNorm(2, 2)
    layer.load_reference(theirs.state_dict())
    assert torch.equal(layer.mix.weight[:, :, 0], theirs.conv1x1.weight[:, :, 0, 0])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (0, "groups=0: must be at least 1; raise groups"),
        (32, "groups=32: must divide channels=48; give a divisor, or choose channels that are a"),
    ],
)
def test_bad_options(groups, message):
    with pytest.raises(InputError, match=message):
        EfficientMultiScaleAttention(48, groups=groups)
