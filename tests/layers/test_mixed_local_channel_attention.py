import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.mixed_local_channel_attention import MixedLocalChannelAttention

VARIANTS = {"mlca": [{"bins": 3, "local_weight": 0.2}, {"bins": 1, "kernel_size": 5}]}


def reconstruct(layer, x, at):
    return x[:, :, at[0], at[1]] * layer.maps(x, at).spatial[:, :, at[0], at[1]]


def test_gates_of_the_whole_and_of_the_parts():
    layer = MixedLocalChannelAttention(4, bins=2, local_weight=0.3, kernel_size=3).double()
    x = torch.randn(2, 4, 6, 8).double()
    means = x.unflatten(3, (2, 4)).unflatten(2, (2, 3)).mean((3, 5))  # (b, c, 2, 2)
    found = layer.maps(x).spatial[:, :, ::3, ::4]

    def convolved(row, weight):
        before, here, after = weight.flatten()
        row = torch.nn.functional.pad(row, (1, 1))
        return before * row[..., :-2] + here * row[..., 1:-1] + after * row[..., 2:]

    whole = convolved(means.mean((2, 3)), layer.score.weight).sigmoid()
    row = torch.cat([means[:, :, i, j] for i in (0, 1) for j in (0, 1)], dim=1)
    local = convolved(row, layer.score_local.weight).sigmoid().unflatten(1, (2, 2, 4))
    for i in (0, 1):
        for j in (0, 1):
            wanted = 0.7 * whole + 0.3 * local[:, i, j]
            torch.testing.assert_close(found[:, :, i, j], wanted)


def test_pixels_between_two_bins_have_the_mean_of_both_gates():
    layer = MixedLocalChannelAttention(2, bins=2).double()
    gates = layer.maps(torch.randn(1, 2, 3, 1).double()).spatial[0, :, :, 0]
    torch.testing.assert_close(gates[:, 1], (gates[:, 0] + gates[:, 2]) / 2)


def test_the_whole_alone_has_one_gate_per_channel():
    layer = MixedLocalChannelAttention(8, local_weight=0.0)
    gates = layer.maps(torch.randn(1, 8, 6, 7)).spatial
    torch.testing.assert_close(gates, gates[:, :, :1, :1].expand_as(gates))


@pytest.mark.parametrize(("channels", "taps"), [(1, 1), (16, 3), (64, 3), (256, 5)])
def test_taps_follow_from_the_channels(channels, taps):
    layer = MixedLocalChannelAttention(channels)
    assert layer.score.kernel_size == layer.score_local.kernel_size == (taps,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 0}, "bins=0: must be at least 1; raise bins"),
        ({"local_weight": 1.5}, "local_weight=1.5: must be from 0 to 1; lower local_weight"),
        ({"kernel_size": 2}, "kernel_size=2: must be odd; take one more or one less"),
        ({"gamma": 0.0}, r"gamma=0\.0: must be above 0; the paper has gamma=2\.0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        MixedLocalChannelAttention(8, **options)
