import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.contextual_transformer import ContextualTransformer

PER_PIXEL = {"cot"}
VARIANTS = {"cot": [{"variant": "coxt"}, {"kernel_size": 5}, {"kernel_size": 1}]}


def reconstruct(layer, x, at):
    row, column = at
    maps = layer.maps(x, at)
    sets, halves = maps.spatial.shape[1], layer.halves
    value, keys = layer.value(x), layer.keys(x)[:, :, row, column]
    channel = torch.arange(x.shape[1])
    half, inside = channel // (x.shape[1] // halves), channel % (x.shape[1] // halves)
    own = half * (sets // halves) + inside % (sets // halves)
    mixed = (maps.spatial[:, own] * value).sum((2, 3), keepdim=True)
    dynamic = F.silu(layer.norm(mixed))[:, :, 0, 0]
    return maps.channel * dynamic + (1 - maps.channel) * keys


@pytest.mark.parametrize("options", VARIANTS["cot"], ids=str)
def test_output_is_reconstructed_with_other_options(options):
    torch.manual_seed(0)
    layer = ContextualTransformer(32, **options).double().eval()
    x = torch.randn(2, 32, 6, 5).double()
    for at in [(0, 0), (3, 4)]:
        found = reconstruct(layer, x, at)
        torch.testing.assert_close(found, layer(x)[:, :, at[0], at[1]])


def test_the_weights_of_a_set_have_mean_0_and_variance_1_over_window_and_map():
    torch.manual_seed(0)
    layer = ContextualTransformer(16).double().eval()
    x = torch.randn(1, 16, 4, 5).double()
    weights = layer._weights(x, layer.keys(x))
    assert weights.min() < 0  # no softmax
    torch.testing.assert_close(weights.mean((3, 4, 5)), torch.zeros(1, 1, 2).double())
    variance = weights.var((3, 4, 5), correction=0)
    torch.testing.assert_close(variance, torch.ones(1, 1, 2).double(), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        (12, {}, "channels=12: must be a multiple of 8 for variant='cot'; use 16"),
        (24, {"variant": "coxt"}, "channels=24: must be a multiple of 16 for .*; use 32"),
        (8, {"kernel_size": 2}, "kernel_size=2: must be odd; take one more or one less"),
        (8, {"kernel_size": 0}, "kernel_size=0: must be at least 1; raise kernel_size"),
        (8, {"variant": "xcot"}, "variant='xcot': must be one of 'cot', 'coxt'"),
    ],
)
def test_bad_options(channels, options, message):
    with pytest.raises(InputError, match=message):
        ContextualTransformer(channels, **options)
