import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.deformable_convolution import DeformableConvolution
from pixelwise.ops.running import choice

PER_PIXEL = {"deform"}
VARIANTS = {
    "deform": [
        {"modulation": False, "bias": False, "groups": 2, "offset_groups": 4, "stride": (2, 1)},
        {"kernel_size": (2, 3), "dilation": (1, 2), "padding": (1, 3), "out_channels": 6},
    ]
}


def output_shape(layer, x):
    place = layer.offset(x.to(layer.weight.dtype))
    return len(x), len(layer.weight), *place.shape[2:]


def reconstruct(layer, x, at):
    taps = layer.weight.shape[2] * layer.weight.shape[3]
    weights = layer.maps(x, at).spatial.unflatten(1, (layer.offset_groups, taps))
    groups = x.unflatten(1, (layer.offset_groups, -1))
    read = torch.einsum("bgtij,bgcij->bgct", weights, groups).flatten(1, 2)
    per_group = layer.weight.shape[1]
    read = read.unflatten(1, (-1, per_group))
    weight = layer.weight.flatten(2).unflatten(0, (read.shape[1], -1))
    y = torch.einsum("gect,bgct->bge", weight, read).flatten(1)
    return y if layer.bias is None else y + layer.bias


def random(**options):
    torch.manual_seed(0)
    layer = DeformableConvolution(8, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer


@pytest.mark.parametrize(
    "options",
    [
        {"modulation": False, "bias": False},
        {"kernel_size": (1, 3), "stride": (2, 1), "out_channels": 6, "groups": 2},
        {"offset_groups": 4, "dilation": 2},
        {"kernel_size": 2, "padding": (0, 1), "dilation": (1, 2), "offset_groups": 2, "groups": 4},
        {"kernel_size": 5, "stride": 3, "modulation": False, "offset_groups": 2},
    ],
    ids=str,
)
def test_every_option_is_what_the_equations_say(options):
    layer, x = random(**options), 2 * torch.randn(2, 8, 9, 7).double()
    y = layer(x)
    geometry = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    groups = options.get("groups", 1)
    assert y.shape == F.conv2d(x, layer.weight, **geometry, groups=groups).shape
    assert layer.keeps_shape == (y.shape == x.shape)
    for at in [(0, 0), (1, 2), (y.shape[2] - 1, y.shape[3] - 1)]:
        torch.testing.assert_close(reconstruct(layer, x, at), y[:, :, at[0], at[1]])
    for at in [(y.shape[2], 0), (0, y.shape[3])]:
        with pytest.raises(InputError, match="at="):
            layer.maps(x, at)


@pytest.mark.parametrize(("modulation", "factor"), [(False, 1.0), (True, 0.5)])
def test_a_convolution_at_initialisation(modulation, factor):
    layer, x = DeformableConvolution(8, modulation=modulation), torch.randn(2, 8, 6, 5)
    y = factor * F.conv2d(x, layer.weight, padding=1)
    torch.testing.assert_close(layer(x), y)


@pytest.mark.parametrize("form", ["plain", "lean"])
def test_gradients_at_whole_offsets_are_those_of_the_operator(form):
    """There the slope differs to both sides; as offsets start at zero, it is met at once."""
    torch.manual_seed(0)
    layer = DeformableConvolution(8, offset_groups=2).double()
    x = torch.randn(2, 8, 6, 5).double().requires_grad_()
    inputs, g = [x, *layer.parameters()], torch.randn(2, 8, 6, 5).double()
    with choice.forced(layer="lean", deformable="operator"):
        wanted = torch.autograd.grad(layer(x), inputs, g)
    with choice.forced(layer=form):
        found = torch.autograd.grad(layer(x), inputs, g)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def layout(prefix, offsets):
    return {
        f"{prefix}weight": torch.randn(8, 8, 3, 3),
        f"{prefix}bias": torch.randn(8),
        f"{offsets}.weight": torch.randn(27, 8, 3, 3),
        f"{offsets}.bias": torch.randn(27),
    }


@pytest.mark.parametrize(
    ("prefix", "offsets"),
    [
        ("", "conv_offset"),
        ("conv2.", "conv2_offset"),
        ("conv.", "conv_offset"),
        ("a.b.", "a.b_offset"),
    ],
)
def test_both_layouts_of_mmcv(prefix, offsets):
    layer, state = DeformableConvolution(8), layout(prefix, offsets)
    layer.load_reference(state)
    assert torch.equal(layer.weight, state[f"{prefix}weight"])
    assert torch.equal(layer.offset.bias, state[f"{offsets}.bias"])


def test_a_foreign_key_in_the_old_layout_is_named():
    with pytest.raises(InputError, match="left over: other"):
        DeformableConvolution(8).load_reference(
            layout("a.", "a_offset") | {"other": torch.zeros(1)}
        )


def test_the_operator_is_loaded_with_the_first_layer():
    code = (
        "import sys; from pixelwise.layers.registry import create, available; available();"
        "print('torchvision' in sys.modules); create('deform', 8);"
        "print('torchvision' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": (3, 0)}, "kernel_size=0: must be at least 1"),
        ({"stride": 0}, "stride=0: must be at least 1"),
        ({"dilation": 0}, "dilation=0: must be at least 1"),
        ({"padding": -1}, "padding=-1: must be at least 0"),
        ({"out_channels": 0}, "out_channels=0: must be at least 1"),
        ({"groups": 3}, "groups=3: must divide the channels, 8 in and 8 out"),
        ({"groups": 4, "out_channels": 6}, "groups=4: must divide the channels, 8 in and 6 out"),
        ({"offset_groups": 3}, "offset_groups=3: must divide the channels"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        DeformableConvolution(8, **options)


def test_an_articles_pair_of_convolutions_loads():
    """`offset` makes the offsets of torchvision's layer, called `torchvision_dcn2d`."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    pair = torch.nn.Module()
    pair.offset = torch.nn.Conv2d(4, 18, 3, padding=1)
    pair.torchvision_dcn2d = torchvision.ops.DeformConv2d(4, 6, 3, padding=1)
    layer = DeformableConvolution(4, out_channels=6, modulation=False)
    layer.load_reference(pair.state_dict())
    x = torch.randn(2, 4, 9, 8)
    torch.testing.assert_close(layer(x), pair.torchvision_dcn2d(x, pair.offset(x)))
