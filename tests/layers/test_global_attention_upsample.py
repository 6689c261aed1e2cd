import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.global_attention_upsample import GlobalAttentionUpsample


def guide(x):
    """Coarse features with as many channels, of half the size, rounded up."""
    rows, columns = ((size + 1) // 2 for size in x.shape[2:])
    coarse = x[:, :, :rows, :columns]
    return (coarse.sin() + 0.5 * coarse).contiguous()


def coarse_part(layer, x, coarse):
    if not layer.interpolated:
        return layer.lift(coarse)
    corners = True if layer.interpolation == "bilinear" else None
    return F.interpolate(coarse, x.shape[2:], mode=layer.interpolation, align_corners=corners)


def reconstruct(layer, x, coarse, at):
    gates = layer.maps(x, coarse, at).channel
    y = layer.value(x) * gates[:, :, None, None] + coarse_part(layer, x, coarse)
    y = y[:, :, at[0], at[1]]
    return y if layer.interpolated else y.relu()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"guide_channels": 6}, (4, 9)),
        ({"guide_channels": 6, "interpolation": "nearest"}, (3, 2)),
        ({"guide_channels": 6, "variant": "javeywang"}, (5, 4)),
        ({"variant": "javeywang", "upsample": False}, (10, 8)),
    ],
    ids=str,
)
def test_every_option_is_what_the_equations_say(options, size):
    torch.manual_seed(0)
    layer = GlobalAttentionUpsample(8, **options).double().eval()
    x = torch.randn(2, 8, 10, 8).double()
    coarse = torch.randn(2, options.get("guide_channels", 8), *size).double()
    y = layer(x, coarse)
    assert y.shape == (2, 6 if layer.interpolated else 8, 10, 8)
    assert layer.keeps_shape == (y.shape == x.shape)
    torch.testing.assert_close(reconstruct(layer, x, coarse, (3, 7)), y[:, :, 3, 7])


def test_gates_of_smp_are_between_0_and_1_those_of_javeywang_are_not_negative():
    x, coarse = torch.randn(4, 8, 6, 6), torch.randn(4, 8, 3, 3)
    gates = GlobalAttentionUpsample(8).maps(x, coarse).channel
    assert ((gates > 0) & (gates < 1)).all()
    gates = GlobalAttentionUpsample(8, variant="javeywang").maps(x, coarse).channel
    assert (gates >= 0).all()
    assert (gates > 1).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "paper"}, "variant='paper': must be one of 'smp', 'javeywang'"),
        ({"interpolation": "area"}, "interpolation='area': must be one of 'bilinear', 'nearest'"),
        ({"guide_channels": 0}, "guide_channels=0: must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        GlobalAttentionUpsample(8, **options)


@pytest.mark.parametrize(("upsample", "times"), [(True, 2), (False, 1)])
def test_sizes_that_do_not_fit(upsample, times):
    layer = GlobalAttentionUpsample(8, variant="javeywang", upsample=upsample)
    with pytest.raises(
        InputError,
        match=rf"guide=\(2, 8, 3, 4\): .* {times} times as large, and has 5 rows and 8 columns",
    ):
        layer(torch.randn(2, 8, 5, 8), torch.randn(2, 8, 3, 4))
