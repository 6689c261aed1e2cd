"""The linear probe: a norm and a matrix per pixel, on one or several maps."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named, resolve

CHANNELS = [4, 6, 8]


def maps():
    torch.manual_seed(0)
    sides = (9, 5, 3)
    return [
        torch.randn(2, c, s, s + 1, dtype=torch.float64)
        for c, s in zip(CHANNELS, sides, strict=True)
    ]


def linear(channels=CHANNELS, **options):
    torch.manual_seed(1)
    return decoder_named("linear")(channels, 3, **options).double()


def matrix(decoder, x):
    weight, bias = decoder.classify[1].weight[:, :, 0, 0], decoder.classify[1].bias
    return torch.einsum("kc,bchw->bkhw", weight, x) + bias[:, None, None]


def test_batch_norm_and_matrix_of_the_last_map():
    decoder = linear()
    x = maps()[-1]
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    wanted = matrix(decoder, (x - mean) / (var + 1e-5).sqrt())
    torch.testing.assert_close(decoder.train()(maps()), wanted)


def test_layer_norm_is_of_each_pixel():
    decoder = linear(norm="layer")
    x = maps()[-1]
    mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    torch.testing.assert_close(decoder(maps()), matrix(decoder, (x - mean) / (var + 1e-6).sqrt()))


def test_several_maps_are_joined_at_the_size_of_the_finest():
    decoder = linear(maps=2, norm="none")
    fine, coarse = maps()[-2:]
    up = F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=False)
    wanted = matrix(decoder, torch.cat([fine, up], 1))
    torch.testing.assert_close(decoder(maps()), wanted)


def test_names_of_published_heads():
    decoder = linear()
    state = {
        key.replace("norm.", "bn.").replace("classify.1.", "conv_seg."): value + 1
        for key, value in decoder.state_dict().items()
    }
    before = decoder.classify[1].weight.clone()
    decoder.load_reference(state)
    assert torch.equal(decoder.classify[1].weight, before + 1)
    assert resolve("BNHead") == resolve("linear probe") == "linear"


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_a_plain_transformer_and_a_picture_of_any_size(norm):
    options = {"out_indices": [2, 5]}
    model = create_model(
        "linear", "test_vit", num_classes=3, backbone_options=options, maps=2, norm=norm
    ).eval()
    assert model.backbone.multiple == 16
    with torch.no_grad():
        assert model(torch.randn(1, 3, 37, 50)).shape == (1, 3, 37, 50)
        assert model(torch.randn(1, 3, 1, 1)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": 0}, "maps=0: must be at least 1"),
        ({"maps": 4}, r"maps=4: the backbone gives 3; take so many or fewer, or, on a plain"),
        ({"norm": "group"}, "norm='group': must be one of 'batch', 'layer', 'none'"),
        ({"dropout": 1.0}, r"dropout=1\.0: must be from 0 to below 1; e\.g\."),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        linear(**options)
