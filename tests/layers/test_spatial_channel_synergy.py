import math

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.spatial_channel_synergy import SpatialChannelSynergy

OPTIONS = {"scsa": {"heads": 2, "window_size": 3}}
VARIANTS = {
    "scsa": [
        {"heads": 4, "window_size": 2, "pool": "max", "gate": "softmax", "bias": True},
        {"heads": 4, "window_size": None, "kernel_sizes": (1, 3, 3, 1), "bias": True},
    ]
}


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    return x[:, :, at[0], at[1]] * maps.spatial[:, :, at[0], at[1]] * maps.channel


def shaken(channels, **options):
    torch.manual_seed(0)
    layer = SpatialChannelSynergy(channels, **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


@pytest.mark.parametrize("gate", ["sigmoid", "softmax"])
def test_rows_and_columns_share_the_kernels_of_each_quarter(gate):
    layer = shaken(8, heads=2, window_size=2, gate=gate)
    x = torch.randn(2, 8, 5, 6).double()
    found = []
    for axis, norm in ((3, layer.norm_rows), (2, layer.norm_columns)):
        parts = []
        for mix, means in zip(layer.mix, x.mean(axis).split(2, dim=1), strict=True):
            z = mix(means)
            centred = z - z.mean((1, 2), keepdim=True)
            parts.append(centred / (centred.square().mean((1, 2), keepdim=True) + 1e-5).sqrt())
        z = torch.cat(parts, 1) * norm.weight[:, None] + norm.bias[:, None]
        found.append(z.sigmoid() if gate == "sigmoid" else z.softmax(2))
    wanted = found[0][:, :, :, None] * found[1][:, :, None, :]
    torch.testing.assert_close(layer.maps(x).spatial, wanted)


def test_channels_of_a_head_attend_to_each_other():
    layer = shaken(8, heads=2, window_size=2, bias=True)
    x = torch.randn(1, 8, 4, 6).double()
    maps = layer.maps(x)
    z = (x * maps.spatial).unflatten(3, (3, 2)).unflatten(2, (2, 2)).mean((3, 5))
    z = (z - z.mean()) / (z.var(correction=0) + 1e-5).sqrt()
    p = layer.norm.weight[:, None] * z.flatten(2)[0] + layer.norm.bias[:, None]  # (c, n)
    query, key, value = (
        part.weight.view(-1, 1) * p + part.bias[:, None]
        for part in (layer.query_scale, layer.key_scale, layer.value_scale)
    )
    for head in (slice(0, 4), slice(4, 8)):
        weights = (query[head] @ key[head].T / math.sqrt(4)).softmax(1)
        wanted = (weights @ value[head]).mean(1).sigmoid()
        torch.testing.assert_close(maps.channel[0, head], wanted)


def test_rows_that_fill_no_window_count_for_their_own_gates_alone():
    layer = shaken(8, heads=2, window_size=3)
    x = torch.randn(1, 8, 7, 8).double()
    spatial, channel = layer.maps(x)
    whole = layer.maps(x * spatial).channel  # any other map, to see that windows matter
    assert not torch.allclose(whole, channel)
    cut = (x * spatial)[:, :, :6, :6]
    torch.testing.assert_close(layer._gate_of(cut), channel)


def test_without_windows_the_mean_of_the_map_is_taken():
    layer = shaken(8, heads=2, window_size=None)
    assert layer(torch.randn(1, 8, 1, 1).double()).shape == (1, 8, 1, 1)
    x = torch.randn(1, 8, 5, 6).double()
    spatial, channel = layer.maps(x)
    mean = (x * spatial).mean((2, 3), keepdim=True)
    torch.testing.assert_close(layer._gate_of(mean), channel)


def test_dropout_is_for_training():
    layer = shaken(8, heads=2, window_size=2, dropout=0.9)
    x = torch.randn(1, 8, 4, 4).double()
    wanted = layer.eval()(x)
    assert torch.equal(layer(x), wanted)
    assert not torch.allclose(layer.train()(x), wanted)
    torch.testing.assert_close(layer.maps(x).channel, layer.eval().maps(x).channel)


def test_a_map_smaller_than_a_window_is_refused():
    with pytest.raises(InputError, match="rows and columns of layer 'scsa' must be at least 7"):
        SpatialChannelSynergy(8)(torch.randn(1, 8, 6, 9))


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        (6, {"heads": 2}, "channels=6: must be a multiple of 4; take such a number"),
        (12, {}, "heads=8: must divide channels=12; take fewer"),
        (8, {"heads": 0}, "heads=0: must be at least 1; raise heads"),
        (8, {"window_size": 0}, "window_size=0: must be at least 1; raise window_size"),
        (8, {"pool": "sum"}, "pool='sum': must be one of 'avg', 'max'"),
        (8, {"gate": "relu"}, "gate='relu': must be one of 'sigmoid', 'softmax'"),
        (8, {"dropout": 1.5}, "dropout=1.5: must be from 0 to 1; lower dropout"),
        (8, {"kernel_sizes": (3, 5, 7)}, r"kernel_sizes=\(3, 5, 7\): must be four odd numbers"),
        (8, {"kernel_sizes": (3, 5, 7, 8)}, "must be four odd numbers; e.g"),
    ],
)
def test_bad_options(channels, options, message):
    with pytest.raises(InputError, match=message):
        SpatialChannelSynergy(channels, **options)
