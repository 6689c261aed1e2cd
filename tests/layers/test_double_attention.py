import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.double_attention import DoubleAttention

VARIANTS = {"double": [{"hidden": 5, "descriptors": 3}]}
PER_PIXEL = {"double"}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial.sum(1).flatten(1)  # (b, n)
    values = layer.value(x).flatten(2)
    seen = torch.einsum("bmn,bn->bm", values, weights)
    return F.linear(seen, layer.restore.weight.flatten(1), layer.restore.bias)


def test_descriptors_are_gathered_and_handed_out():
    layer = DoubleAttention(8, hidden=3, descriptors=2).double()
    x = torch.randn(2, 8, 4, 5).double()
    gathered = layer.gather(x)[1].flatten(1).softmax(1)
    shared = layer.share(x)[1].flatten(1).softmax(0)
    found = layer.value(x)[1].flatten(1) @ gathered.T @ shared
    torch.testing.assert_close(layer(x)[1], layer.restore(found.view(1, 3, 4, 5))[0])


def test_weights_of_all_pixels_sum_to_one():
    layer = DoubleAttention(8)
    weights = layer.maps(torch.randn(2, 8, 4, 5), at=(1, 2)).spatial
    assert weights.shape == (2, 2, 4, 5)
    torch.testing.assert_close(weights.sum((1, 2, 3)), torch.ones(2))


def test_an_image_does_not_depend_on_the_others():
    layer = DoubleAttention(8)
    x = torch.randn(3, 8, 4, 5)
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))


@pytest.mark.parametrize(
    ("options", "widths"),
    [
        ({}, (4, 4)),
        ({"reduction": 2}, (8, 8)),
        ({"hidden": 5}, (5, 4)),
        ({"descriptors": 3}, (4, 3)),
    ],
)
def test_widths(options, widths):
    layer = DoubleAttention(16, **options)
    assert (layer.value.out_channels, layer.gather.out_channels) == widths


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 9}, "reduction=9: must not exceed channels=8; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1; raise hidden"),
        ({"descriptors": 0}, "descriptors=0: must be at least 1; raise descriptors"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        DoubleAttention(8, **options)
