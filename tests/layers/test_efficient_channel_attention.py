import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.efficient_channel_attention import EfficientChannelAttention

VARIANTS = {"eca": [{"kernel_size": 5}]}


def reconstruct(layer, x, at):
    return x[:, :, at[0], at[1]] * layer.maps(x, at).channel


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [(1, 1), (2, 1), (8, 3), (16, 3), (32, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)],
)
def test_width_of_the_neighbourhood_follows_from_the_channels(channels, kernel):
    assert EfficientChannelAttention(channels).score.weight.shape == (1, 1, kernel)


def test_width_by_other_numbers():
    assert EfficientChannelAttention(64, gamma=1.0, beta=3.0).score.kernel_size == (9,)
    assert EfficientChannelAttention(64, kernel_size=5).score.kernel_size == (5,)


def test_a_gate_sees_only_the_channels_beside_it():
    layer = EfficientChannelAttention(8, kernel_size=3)
    x = torch.zeros(1, 8, 2, 2)
    x[:, 4] = 1.0
    touched = layer.maps(x).channel[0] != 0.5
    assert touched.nonzero().flatten().tolist() == [3, 4, 5]


def test_gate_is_the_sigmoid_of_a_sum_along_the_channels():
    layer = EfficientChannelAttention(4, kernel_size=3)
    x = torch.randn(2, 4, 3, 5)
    mean = torch.nn.functional.pad(x.mean((2, 3)), (1, 1))
    before, here, after = layer.score.weight.flatten()
    wanted = before * mean[:, :-2] + here * mean[:, 1:-1] + after * mean[:, 2:]
    torch.testing.assert_close(layer.maps(x).channel, wanted.sigmoid())


def test_checkpoint():
    layer = EfficientChannelAttention(64)
    layer.load_reference({"conv.weight": torch.ones(1, 1, 3)})
    assert torch.equal(layer.score.weight, torch.ones(1, 1, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 2}, "kernel_size=2: must be odd; take one more or one less"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"gamma": 0.0}, r"gamma=0\.0: must be above 0; the paper has gamma=2\.0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        EfficientChannelAttention(8, **options)
