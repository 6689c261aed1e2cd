"""BiSeNetV2 on its own branches, and what other backbones give in their place."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.backbones.bisenetv2 import REDUCTIONS, WIDTHS, BiSeNetV2Body, Expansion
from pixelwise.networks.decoders.bisenetv2 import BiSeNetV2
from pixelwise.networks.factory import create_model


@pytest.mark.parametrize(("auxiliary", "count"), [(True, 5_231_487), (False, 3_358_627)])
def test_published_sizes(auxiliary, count):
    with torch.device("meta"):
        parts = BiSeNetV2Body(), BiSeNetV2(WIDTHS, 19, auxiliary=auxiliary)
    assert sum(p.numel() for part in parts for p in part.parameters()) == count


def test_any_size_and_every_parameter_learns():
    model = create_model("bisenetv2", num_classes=3, in_channels=4)
    assert model.config.backbone == "bisenetv2"
    assert model.backbone.multiple == 1
    image = torch.randn(2, 4, 65, 49)
    outputs = model.with_auxiliary(image)
    assert outputs.logits.shape == (2, 3, 65, 49)
    assert list(outputs.auxiliary) == ["stage2", "stage3", "stage4", "stage5"]
    (outputs.logits.mean() + sum(x.mean() for x in outputs.auxiliary.values())).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_the_body_gives_features_as_timm_does():
    body = BiSeNetV2Body().eval()
    image = torch.randn(1, 3, 70, 33)
    maps = body(image)
    sizes = [(c, -(-70 // r), -(-33 // r)) for c, r in zip(WIDTHS, REDUCTIONS, strict=True)]
    assert [tuple(x.shape[1:]) for x in maps] == sizes
    info = body.feature_info
    for index, expected in enumerate(maps):
        found = []
        module = body.get_submodule(info.module_name(index))
        module.register_forward_hook(lambda *_, seen=found: seen.append(_[2]))
        body(image)
        assert torch.equal(found[0], expected)


def test_attention_after_a_stage():
    model = create_model("bisenetv2", num_classes=2, attention="psa_s@3,4").eval()
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 2, 64, 64)


def test_an_expansion_starts_as_its_shortcut():
    body = BiSeNetV2Body().eval()
    block = body.stage4[1]
    assert isinstance(block, Expansion)
    x = torch.randn(1, 64, 4, 4)
    torch.testing.assert_close(block(x), x.relu())


@pytest.mark.parametrize("channels", [(8, 12), (8, 12, 16), (8, 12, 16, 24, 32)])
def test_other_backbones_have_a_head_on_their_last_maps(channels):
    decoder = BiSeNetV2(channels, 3).eval()
    maps = [torch.randn(1, c, 2 ** (5 - i), 2 ** (5 - i)) for i, c in enumerate(channels)]
    outputs = decoder.with_auxiliary(maps)
    assert outputs.logits.shape[2:] == maps[max(len(maps) - 3, 0)].shape[2:]
    count = min(len(channels), 4)
    assert list(outputs.auxiliary) == [f"stage{i}" for i in range(6 - count, 6)]
    assert outputs.auxiliary.keys() == decoder.auxiliary_weights.keys()


def test_mmsegmentation_resizes_bilinearly():
    decoder = BiSeNetV2(WIDTHS, 3, variant="mmsegmentation").eval()
    merge = decoder.aggregate
    detail, semantic = torch.randn(1, 128, 8, 12), torch.randn(1, 128, 2, 3)
    up = {"size": (8, 12), "mode": "bilinear", "align_corners": False}
    fine = merge.detail(detail) * F.interpolate(merge.semantic(semantic), **up).sigmoid()
    coarse = merge.detail_pooled(detail) * merge.semantic_gate(semantic).sigmoid()
    expected = merge.merge(fine + F.interpolate(coarse, **up))
    torch.testing.assert_close(merge(detail, semantic), expected)
    assert sum(p.numel() for p in decoder.stages["stage2"].parameters()) == 4723


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "mmseg"}, "variant='mmseg': must be one of"),
        ({"pretrained": True}, "no pretrained weights here"),
        ({"output_stride": 8}, "cannot work at output_stride=8; its own is 32"),
        (
            {"backbone": "bisenetv3"},
            "backbone='bisenetv3': unknown backbone; did you mean 'bisenetv2'",
        ),
        ({"backbone_options": {"dropout": 0.5}}, "has no options such as dropout"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        create_model("bisenetv2", num_classes=2, **options)
