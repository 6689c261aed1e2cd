import pytest
import torch
import torch.nn.functional as F

from largest import Largest
from pixelwise.errors import InputError
from pixelwise.layers.convolution_self_attention_mix import ConvolutionSelfAttentionMix

PER_PIXEL = {"acmix"}
VARIANTS = {"acmix": [{"kernel_size": 3, "heads": 2, "stride": 2, "out_channels": 6}]}


def output_shape(layer, x):
    size = (-(-side // layer.stride) for side in x.shape[2:])
    return len(x), layer.query.out_features, *size


def projected(layer, x):
    parts = (layer.query, layer.keys, layer.value)
    maps = [torch.einsum("oc,bcij->boij", p.weight, x) + p.bias[:, None, None] for p in parts]
    return [z.unflatten(1, (layer.heads, -1)) for z in maps]


def convolved(path, parts):
    """First the taps, then the shifts, as the authors do."""
    taps = torch.einsum("ts,bsgij->bgtij", path.taps.weight, torch.cat(parts, dim=1))
    if path.taps.bias is not None:
        taps = taps + path.taps.bias[:, None, None]
    weight = path.shift.weight
    return F.conv2d(taps.flatten(1, 2), weight, stride=path.stride, padding=1, groups=path.width)


def reconstruct(layer, x, at):
    parts = projected(layer, x)
    seen = torch.einsum("bmij,bmdij->bmd", layer.maps(x, at).spatial, parts[2]).flatten(1)
    mixed = convolved(layer.convolution, parts)[:, :, at[0], at[1]]
    return layer.attention_rate * seen + layer.convolution_rate * mixed


def random(**options):
    torch.manual_seed(0)
    layer = ConvolutionSelfAttentionMix(8, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "heads": 2, "stride": 2, "out_channels": 6},
        {"kernel_size": 5, "heads": 1, "stride": 3},
        {"kernel_size": 1, "heads": 8},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(9, 13), (8, 6)], ids=str)
def test_every_option_is_what_the_equations_say(options, size):
    layer, x = random(**options), torch.randn(2, 8, *size).double()
    y = layer(x)
    stride = options.get("stride", 1)
    assert y.shape == (2, options.get("out_channels", 8), *(-(-s // stride) for s in size))
    assert layer.keeps_shape == (y.shape == x.shape)
    for at in [(0, 0), (1, 1), (y.shape[2] - 1, y.shape[3] - 1)]:
        torch.testing.assert_close(reconstruct(layer, x, at), y[:, :, at[0], at[1]])
    for at in [(y.shape[2], 0), (0, y.shape[3])]:
        with pytest.raises(InputError, match="at="):
            layer.maps(x, at)


def test_keys_know_their_place():
    """The authors' form: q . (k_j + Wp l_i - Wp l_j), everything mirrored, one window a pixel."""
    layer, x = random(kernel_size=3, heads=2), torch.randn(1, 8, 5, 6).double()
    query, keys, value = projected(layer, x)
    rows, columns = torch.linspace(-1, 1, 5).double(), torch.linspace(-1, 1, 6).double()
    place = torch.stack([columns.expand(5, 6), rows[:, None].expand(5, 6)])
    position = torch.einsum("dk,kij->dij", layer.position.weight, place) + 0.3  # any bias

    def windows(z):
        return F.pad(z, (1, 1, 1, 1), mode="reflect").unfold(-2, 3, 1).unfold(-2, 3, 1).flatten(-2)

    moved = windows(keys[0]) + (position[..., None] - windows(position[None])[0])
    score = torch.einsum("mdij,mdijk->mijk", query[0], moved) / 2
    seen = torch.einsum("mijk,mdijk->mdij", score.softmax(-1), windows(value[0])).flatten(0, 1)
    mixed = convolved(layer.convolution, [query, keys, value])[0]
    wanted = layer.attention_rate * seen + layer.convolution_rate * mixed
    torch.testing.assert_close(layer(x)[0], wanted)


def test_maps_are_distributions_in_the_window():
    maps = ConvolutionSelfAttentionMix(8, kernel_size=3).maps(torch.randn(2, 8, 6, 7), (5, 2))
    weights = maps.spatial
    torch.testing.assert_close(weights.sum((2, 3)), torch.ones(2, 4))
    assert (weights[:, :, :4] == 0).all()
    assert (weights[:, :, 4:, 1:4] > 0).all()


def test_convolution_only_shifts_at_initialisation():
    shift = ConvolutionSelfAttentionMix(8).convolution.shift.weight
    assert torch.equal(shift[3].flatten(1), torch.eye(9))


def test_dead_bias_is_a_buffer_under_its_key():
    layer = ConvolutionSelfAttentionMix(8)
    assert "position_bias" not in dict(layer.named_parameters())
    assert layer.reference_name("conv_p.bias") == "position_bias"


def test_windows_are_never_copied():
    x = torch.randn(1, 64, 128, 128, requires_grad=True)
    layer = ConvolutionSelfAttentionMix(64)
    with Largest() as seen:
        layer(x).sum().backward()
    assert seen.elements <= 4 * x.numel()  # windows would be 49 of them


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size=4: must be odd, a window has a middle; use 3 or 5"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"heads": 3}, "heads=3: must divide 8 channels of the output"),
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"stride": 0}, "stride=0: must be at least 1"),
        ({"out_channels": 0}, "out_channels=0: must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ConvolutionSelfAttentionMix(8, **options)


def test_a_map_must_reach_as_far_as_its_mirror_image():
    layer = ConvolutionSelfAttentionMix(8, kernel_size=5)
    assert layer(torch.randn(1, 8, 3, 3)).shape == (1, 8, 3, 3)
    with pytest.raises(InputError, match="'acmix' must be at least 3"):
        layer(torch.randn(1, 8, 2, 9))
