import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.feature_pyramid_attention import FeaturePyramidAttention


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial[:, :, at[0], at[1]]
    context = layer.context(x.mean((2, 3), keepdim=True))[:, :, 0, 0]
    y = layer.value(x)[:, :, at[0], at[1]] * weights + context
    return y if layer.pooled else y.relu()


@pytest.mark.parametrize("at", [(0, 0), (15, 23)])
def test_javeywang_is_reconstructed_from_its_maps(at):
    layer = FeaturePyramidAttention(8, variant="javeywang").double().eval()
    x = torch.randn(1, 8, 16, 24).double()
    assert layer.maps(x).spatial.shape == x.shape
    torch.testing.assert_close(reconstruct(layer, x, at), layer(x)[:, :, at[0], at[1]])


def test_smp_has_one_factor_per_pixel_and_may_change_the_channels():
    layer = FeaturePyramidAttention(8, out_channels=12).eval()
    x = torch.randn(2, 8, 9, 15)
    assert layer.maps(x).spatial.shape == (2, 1, 9, 15)
    assert layer(x).shape == (2, 12, 9, 15)
    assert not layer.keeps_shape


def test_the_widths_of_javeywang():
    layer = FeaturePyramidAttention(16, variant="javeywang")
    assert layer.down[0][0].weight.shape == (4, 16, 7, 7)
    assert layer.up[0][0].weight.shape == (4, 16, 4, 4)
    assert all(part.bias is None for part in layer.modules() if isinstance(part, torch.nn.Conv2d))


@pytest.mark.parametrize("variant", ["smp", "javeywang"])
def test_weights_of_the_other_variant_are_refused(variant):
    layer = FeaturePyramidAttention(8, variant=variant)
    other = {"smp": "branch1.1.conv.weight", "javeywang": "conv_upsample_3.weight"}
    del other[variant]
    with pytest.raises(InputError, match="does not fit"):
        layer.load_reference(dict.fromkeys(other.values(), torch.zeros(2, 2, 4, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "paper"}, "variant='paper': must be one of 'smp', 'javeywang'"),
        ({"out_channels": 0}, "out_channels=0: must be at least 1"),
        (
            {"out_channels": 9, "variant": "javeywang"},
            "out_channels=9: variant='javeywang' keeps 8 channels; leave out_channels away",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        FeaturePyramidAttention(8, **options)


def test_javeywang_needs_four_channels():
    with pytest.raises(InputError, match="channels=3: must be at least 4"):
        FeaturePyramidAttention(3, variant="javeywang")


def test_limits():
    with pytest.raises(InputError, match="'fpa' must be at least 8"):
        FeaturePyramidAttention(8).eval()(torch.randn(1, 8, 7, 30))
    javeywang = FeaturePyramidAttention(8, variant="javeywang")
    with pytest.raises(InputError, match="'fpa' must be multiples of 8"):
        javeywang(torch.randn(2, 8, 12, 16))
    with pytest.raises(InputError, match="batch of 1 and must have at least 2"):
        javeywang(torch.randn(1, 8, 16, 16))
