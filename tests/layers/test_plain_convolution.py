import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.plain_convolution import PlainConvolution


def drawn(**options):
    torch.manual_seed(0)
    layer = PlainConvolution(4, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer, torch.randn(2, 4, 7, 9).double()


@pytest.mark.parametrize(
    "options", [{}, {"cell": (3, 2)}, {"width": None, "bias": False}, {"depthwise": True}], ids=str
)
def test_it_is_the_identity_at_the_start_and_learns(options):
    layer, x = PlainConvolution(4, **options), torch.randn(2, 4, 7, 9)
    assert torch.equal(layer(x), x)
    layer(x).square().sum().backward()
    assert any(p.grad.abs().sum() > 0 for p in layer.parameters())


def test_the_kernel_is_applied_again_and_again():
    layer, x = drawn(width=3, kernel_size=3, repeats=2)
    z = F.relu(F.conv2d(x, layer.reduce.weight))
    for _ in range(2):
        z = F.relu(F.conv2d(z, layer.filter.weight, padding=1))
    torch.testing.assert_close(layer(x), x + F.conv2d(z, layer.expand.weight, layer.expand.bias))


def test_one_kernel_serves_all_channels():
    layer, x = drawn(width=None, kernel_size=(1, 4), repeats=2, bias=False)
    weight = layer.filter.weight.expand(4, 1, 1, 4)
    z = x
    for _ in range(2):
        z = z + F.conv2d(F.pad(z, (1, 2)), weight, groups=4) / 2
    torch.testing.assert_close(layer(x), z)


def test_fixed_convolutions_do_not_learn_but_a_gain_does():
    layer, x = drawn(width=3, kernel_size=3, bias=False, fixed=True)
    assert [name for name, _ in layer.named_parameters()] == ["gain"]
    assert {"reduce.weight", "filter.weight", "expand.weight", "gain"} == set(layer.state_dict())
    z = F.relu(F.conv2d(F.relu(F.conv2d(x, layer.reduce.weight)), layer.filter.weight, padding=1))
    torch.testing.assert_close(layer(x), x + layer.gain * F.conv2d(z, layer.expand.weight))
    fresh = PlainConvolution(4, width=3, bias=False, fixed=True)
    assert fresh.gain.item() == 0
    assert fresh.expand.weight.abs().max() > 0


def test_cells_are_averaged_and_shown_at_all_their_pixels():
    layer, x = drawn(width=2, kernel_size=1, cell=(3, 2))
    change = layer(x) - x
    torch.testing.assert_close(change[..., 0:1, 0:1].expand(2, 4, 3, 2), change[..., :3, :2])
    first = x[..., :3, :2].mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(change[..., :1, :1], layer._wide(first))
    last = x[..., 6:, 8:].mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(change[..., -1:, -1:], layer._wide(last))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0: must be at least 1"),
        ({"repeats": 0}, "repeats=0: must be at least 1"),
        ({"cell": (0, 1)}, "cell=0: must be at least 1"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"width": None}, "width=None: has one kernel"),
        ({"fixed": True}, "fixed=True: has no bias"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        PlainConvolution(8, **options)
