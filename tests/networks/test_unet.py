"""U-Net and its gated form."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.backbones.unet_encoder import WIDTHS, UNetEncoder
from pixelwise.networks.decoders.attention_unet import AttentionUNet
from pixelwise.networks.decoders.unet import UNet
from pixelwise.networks.factory import create_model

CHANNELS = (8, 12, 16)


def maps(*sides):
    torch.manual_seed(0)
    return [torch.randn(1, c, *side) for c, side in zip(CHANNELS, sides, strict=True)]


def test_size_of_the_decoder_in_common_use():
    decoder = UNet((64, 64, 128, 256, 512), 5)
    assert sum(p.numel() for p in decoder.parameters()) == 3_152_277


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_equals_the_equations(interpolation):
    decoder = UNet(CHANNELS, 3, widths=(10, 6, 4), interpolation=interpolation).eval()
    x1, x2, x3 = features = maps((9, 7), (5, 4), (3, 2))
    corners = {"align_corners": False} if interpolation == "bilinear" else {}

    def up(x, size):
        return F.interpolate(x, size=size, mode=interpolation, **corners)

    y = decoder.blocks[0](torch.cat([up(x3, (5, 4)), x2], dim=1))
    y = decoder.blocks[1](torch.cat([up(y, (9, 7)), x1], dim=1))
    y = decoder.blocks[2](up(y, (18, 14)))
    torch.testing.assert_close(decoder(features), decoder.classify(y))


def test_equals_the_equations_with_up_convolutions():
    decoder = AttentionUNet(CHANNELS, 3, widths=(10, 6, 4), up_convolutions=True).eval()
    x1, x2, x3 = features = maps((9, 7), (5, 4), (3, 2))
    y = decoder.up[0](F.interpolate(x3, size=(5, 4)))
    y = decoder.blocks[0](torch.cat([decoder.gates[0](x2, y), y], dim=1))
    y = decoder.up[1](F.interpolate(y, size=(9, 7)))
    y = decoder.blocks[1](torch.cat([decoder.gates[1](x1, y), y], dim=1))
    y = decoder.blocks[2](decoder.up[2](F.interpolate(y, size=(18, 14))))
    torch.testing.assert_close(decoder(features), decoder.classify(y))
    assert decoder.classify.kernel_size == (1, 1)


@pytest.mark.parametrize("arch", ["unet", "attention_unet"])
def test_on_its_own_encoder_for_any_size(arch):
    model = create_model(
        arch,
        "unet_encoder",
        num_classes=3,
        in_channels=2,
        backbone_options={"widths": (4, 6, 8)},
        attention="gc@4",
        widths=(6, 4),
        up_convolutions=True,
    ).eval()
    assert model.backbone.multiple == 1
    assert (model.backbone.channels, model.backbone.reductions) == ([4, 6, 8], [1, 2, 4])
    for size in ((1, 1), (5, 7), (8, 12)):
        assert model(torch.randn(1, 2, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize(("network", "size"), [(UNet, 34_527_041), (AttentionUNet, 34_878_573)])
def test_published_sizes_on_its_own_encoder(network, size):
    with torch.device("meta"):
        encoder = UNetEncoder()
        decoder = network(WIDTHS, 1, widths=WIDTHS[-2::-1], up_convolutions=True)
        assert sum(p.numel() for part in (encoder, decoder) for p in part.parameters()) == size
        assert encoder(torch.empty(1, 3, 16, 32))[-1].shape == (1, 1024, 1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "widths=.*must not be empty"),
        ({"widths": (8, 0)}, "widths=0: must be at least 1"),
        ({"depth": 3}, "backbone='unet_encoder': has no options such as depth; leave them out"),
    ],
)
def test_what_the_encoder_refuses(options, message):
    with pytest.raises(InputError, match=message):
        create_model("unet", "unet_encoder", num_classes=2, backbone_options=options)


def test_a_closed_gate_is_a_skip_of_its_offset():
    torch.manual_seed(0)
    decoder = AttentionUNet(CHANNELS, 3, widths=(10, 6)).eval()
    features = maps((9, 7), (5, 4), (3, 2))
    before = decoder(features)
    for gate in decoder.gates:
        torch.nn.init.constant_(gate.score.bias, -200.0)
    closed = decoder(features)
    assert not torch.allclose(closed, before)
    other = [features[0] + 1, features[1] * 2, features[2]]
    torch.testing.assert_close(decoder(other), closed)


def test_the_gate_is_led_by_the_map_below():
    decoder = AttentionUNet(CHANNELS, 3, widths=(10, 6))
    assert [gate.reduce_guide.in_channels for gate in decoder.gates] == [16, 10]
    assert [gate.reduce.in_channels for gate in decoder.gates] == [12, 8]


@pytest.mark.parametrize("network", [UNet, AttentionUNet])
def test_fewer_widths_end_earlier(network):
    decoder = network(CHANNELS, 3, widths=(10,)).eval()
    assert decoder(maps((9, 7), (5, 4), (3, 2))).shape == (1, 3, 5, 4)
    assert decoder(maps((1, 1), (1, 1), (1, 1))).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "widths=.*must not be empty"),
        ({"widths": (8, 0)}, "widths=0: must be at least 1"),
        ({"interpolation": "area"}, "interpolation='area': must be one of"),
    ],
)
@pytest.mark.parametrize("network", [UNet, AttentionUNet])
def test_what_is_refused(network, options, message):
    with pytest.raises(InputError, match=message):
        network(CHANNELS, 3, **options)
