import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.global_attention_mechanism import GlobalAttentionMechanism

VARIANTS = {"gam": [{"channel_sigmoid": False, "groups": 4, "shuffle": 4}]}


def weights(layer, x):
    return layer.expand(layer.reduce(x).relu())


def reconstruct(layer, x, at):
    factor = weights(layer, x).sigmoid() * layer.maps(x, at).spatial
    return (x * factor)[:, :, at[0], at[1]]


@pytest.mark.parametrize("channel_sigmoid", [True, False])
def test_weights_of_channels_are_a_perceptron_of_each_pixel(channel_sigmoid):
    layer = GlobalAttentionMechanism(8, channel_sigmoid=channel_sigmoid).double().eval()
    x = torch.randn(2, 8, 4, 5).double()
    pixel = x[1, :, 2, 3]
    inner = F.linear(pixel, layer.reduce.weight.flatten(1), layer.reduce.bias).relu()
    factor = F.linear(inner, layer.expand.weight.flatten(1), layer.expand.bias)
    factor = factor.sigmoid() if channel_sigmoid else factor
    gate = layer.maps(x).spatial[1, :, 2, 3]
    torch.testing.assert_close(layer(x)[1, :, 2, 3], pixel * factor * gate)


def test_shuffle_takes_the_channels_of_each_part_in_turn():
    torch.manual_seed(0)
    straight = GlobalAttentionMechanism(8).double().eval()
    shuffled = GlobalAttentionMechanism(8, shuffle=4).double().eval()
    shuffled.load_state_dict(straight.state_dict())
    x = torch.randn(1, 8, 3, 4).double()
    gates = straight.maps(x).spatial
    assert torch.equal(shuffled.maps(x).spatial, gates[:, [0, 2, 4, 6, 1, 3, 5, 7]])


def test_groups_see_their_own_channels_alone():
    layer = GlobalAttentionMechanism(16, groups=4, channel_sigmoid=False).eval()
    assert layer.narrow.weight.shape == (4, 4, 7, 7)
    assert layer.widen.weight.shape == (16, 1, 7, 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1; raise reduction"),
        ({"reduction": 17}, "reduction=17: must not exceed channels=16; lower it"),
        ({"groups": 0}, "groups=0: must be at least 1; raise groups"),
        ({"groups": 8}, "groups=8: must divide channels=16 and the hidden width 4; lower it"),
        ({"shuffle": 0}, "shuffle=0: must be at least 1; raise shuffle"),
        ({"shuffle": 3}, "shuffle=3: must divide channels=16; lower it"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        GlobalAttentionMechanism(16, **options)
