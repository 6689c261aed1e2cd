import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.shuffle_attention import ShuffleAttention

OPTIONS = {"shuffle": {"groups": 2}}
VARIANTS = {"shuffle": [{"groups": 8}, {"groups": 1}]}


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    pixel = x[:, :, at[0], at[1]].unflatten(1, (layer.groups, 2, -1))
    channel = maps.channel.unflatten(1, (layer.groups, -1))
    spatial = maps.spatial[:, :, at[0], at[1]].unflatten(1, (layer.groups, -1))
    gated = torch.stack([pixel[:, :, 0] * channel, pixel[:, :, 1] * spatial], 2).flatten(1)
    return gated.unflatten(1, (2, -1)).transpose(1, 2).flatten(1)


def shaken(channels, groups):
    torch.manual_seed(0)
    layer = ShuffleAttention(channels, groups=groups).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def test_each_half_is_gated_in_its_own_way():
    layer, x = shaken(8, 2), torch.randn(2, 8, 4, 5).double()
    maps = layer.maps(x)
    for group in range(2):
        for j in range(2):
            first, second = x[:, 4 * group + j], x[:, 4 * group + 2 + j]
            place = 2 * group + j
            logit = layer.channel_weight[j] * first.mean((1, 2)) + layer.channel_bias[j]
            torch.testing.assert_close(maps.channel[:, place], logit.sigmoid())
            centred = second - second.mean((1, 2), keepdim=True)
            z = centred / (centred.square().mean((1, 2), keepdim=True) + 1e-5).sqrt()
            z = layer.norm.weight[j] * z + layer.norm.bias[j]
            logit = layer.pixel_weight[j] * z + layer.pixel_bias[j]
            torch.testing.assert_close(maps.spatial[:, place], logit.sigmoid())


def test_output_has_another_order():
    layer = ShuffleAttention(8, groups=2).eval()
    x = torch.randn(1, 8, 1, 1)
    torch.testing.assert_close(layer(x), 0.7310586 * x[:, [0, 4, 1, 5, 2, 6, 3, 7]])


def test_a_single_pixel_of_one_image_and_one_group():
    layer, x = shaken(4, 1), torch.randn(1, 4, 1, 1).double()
    gate = (layer.pixel_weight * layer.norm.bias + layer.pixel_bias).sigmoid()
    torch.testing.assert_close(layer(x).flatten()[1::2], x.flatten()[2:] * gate)


def test_means_far_from_zero_leave_the_gates_right():
    layer = shaken(4, 1)
    x = 100 + 0.1 * torch.randn(1, 4, 32, 32)
    wanted = layer(x.double())
    torch.testing.assert_close(layer.float()(x).double(), wanted, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("channels", "groups", "message"),
    [
        (8, 0, "groups=0: must be at least 1; raise groups"),
        (36, 4, "groups=4: twice as many must divide channels=36; take fewer groups"),
        (64, 64, "groups=64: twice as many must divide channels=64; take fewer groups"),
    ],
)
def test_bad_options(channels, groups, message):
    with pytest.raises(InputError, match=message):
        ShuffleAttention(channels, groups=groups)
