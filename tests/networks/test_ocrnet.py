"""The network of object context: its published sizes, its names elsewhere, and its options."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.decoders.ocrnet import OCRNet

RESNET, HRNET = [256, 512, 1024, 2048], [64, 48, 96, 192, 384]


def built(channels, **options):
    with torch.device("meta"):
        return OCRNet(channels, 19, **options)


def context(bias):
    weights = 2 * (512 * 256 + 256**2) + 2 * 512 * 256 + 2 * 512**2
    norms = 5 * 2 * 256 + 2 * 2 * 512
    return weights + norms + (5 * 256 + 2 * 512 if bias else 0)


@pytest.mark.parametrize(
    ("channels", "options", "head"),
    [
        (HRNET, {"features": "all"}, 720 * 721 + 2 * 720 + 9 * 720 * 512 + 3 * 512 + 721 * 19),
        (
            RESNET,
            {"context_bias": True},
            9 * 1024 * 512 + 3 * 512 + 9 * 2048 * 512 + 3 * 512 + 513 * 19,
        ),
        (
            RESNET,
            {"bias": False, "region_width": 256},
            9 * 1024 * 256 + 2 * 256 + 9 * 2048 * 512 + 2 * 512 + 257 * 19,
        ),
    ],
)
def test_published_sizes(channels, options, head):
    found = sum(p.numel() for p in built(channels, **options).parameters())
    assert found == head + context(options.get("context_bias", False)) + 513 * 19


def nested(key):
    """Names of NVIDIA's and DeLightCMU's networks: HRNet's, but norms and activations are one."""
    names = {
        "weigh.2": "scale_attn.conv2",
        "reduce.1": "ocr.conv3x3_ocr.1.0",
        "reduce.0": "ocr.conv3x3_ocr.0",
        "regions.1": "ocr.aux_head.1.0",
        "regions.0": "ocr.aux_head.0",
        "classify_regions.1": "ocr.aux_head.2",
        "classify": "ocr.cls_head",
        "context.fusion.1": "ocr.ocr_distri_head.conv_bn_dropout.1.0",
        "context.fusion.0": "ocr.ocr_distri_head.conv_bn_dropout.0",
    }
    for i in (0, 1):
        names |= {f"weigh.{i}.0": f"scale_attn.conv{i}", f"weigh.{i}.1": f"scale_attn.bn{i}"}
    block = "ocr.ocr_distri_head.object_context_block"
    for ours, theirs in (("query", "f_pixel"), ("keys", "f_object")):
        for place, name in (("0.0", "0"), ("0.1", "1.0"), ("1.0", "2"), ("1.1", "3.0")):
            names[f"context.attention.{ours}.{place}"] = f"{block}.{theirs}.{name}"
    for ours, theirs in (("value", "f_down"), ("expand", "f_up")):
        for place, name in (("0", "0"), ("1", "1.0")):
            names[f"context.attention.{ours}.{place}"] = f"{block}.{theirs}.{name}"
    ours = next(part for part in names if key.startswith(part + "."))
    return names[ours] + key.removeprefix(ours)


def test_names_of_the_multi_scale_networks():
    options = {"features": "all", "width": 16, "key_width": 8, "scales": (0.5, 1.0)}
    decoder, twin = (OCRNet([4, 8], 3, **options).eval() for _ in range(2))
    twin.load_reference({nested(key): value for key, value in decoder.state_dict().items()})
    features = [torch.randn(1, 4, 8, 6), torch.randn(1, 8, 4, 3)]
    torch.testing.assert_close(twin.weighed(features), decoder.weighed(features))


def test_names_of_openseg():
    assert built(RESNET).reference_name("conv_3x3.1.0.weight") == "reduce.1.weight"
    assert built(RESNET).reference_name("head.bias") == "classify.bias"
    assert built(RESNET).reference_name("dsn_head.3.bias") == "classify_regions.1.bias"
    name = "spatial_ocr_head.object_context_block.f_up.0.weight"
    assert built(RESNET).reference_name(name) == "context.attention.expand.0.weight"


@pytest.mark.parametrize("align_corners", [False, True])
def test_all_features_are_those_at_the_size_of_the_finest(align_corners):
    torch.manual_seed(0)
    decoder = OCRNet([4, 8, 8, 8, 8], 3, features="all", width=16, key_width=8).eval()
    decoder.align_corners = align_corners
    whole = OCRNet([32], 3, features="all", width=16, key_width=8).eval()
    whole.load_state_dict(decoder.state_dict())
    maps = [torch.randn(2, 8, 9, 7), *(torch.randn(2, 8, n, n) for n in (5, 3, 1))]
    mode = {"mode": "bilinear", "align_corners": align_corners}
    joined = torch.cat([F.interpolate(x, size=(9, 7), **mode) for x in maps], dim=1)
    features = [torch.randn(2, 4, 18, 14), *maps]
    torch.testing.assert_close(decoder.with_auxiliary(features), whole.with_auxiliary([joined]))


def test_regions_of_a_finer_map_are_resized():
    decoder = OCRNet([8, 16], 3, width=16, key_width=8).eval()
    outputs = decoder.with_auxiliary([torch.randn(1, 8, 9, 7), torch.randn(1, 16, 5, 4)])
    assert outputs.logits.shape == (1, 3, 5, 4)
    assert outputs.auxiliary["regions"].shape == (1, 3, 9, 7)


def test_a_sole_feature_map_tells_the_regions_too():
    decoder = OCRNet([16], 3, width=16, key_width=8).eval()
    assert decoder([torch.randn(1, 16, 1, 1)]).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "first"}, "features='first'"),
        ({"width": 0}, "width=0"),
        ({"region_kernel": 0}, "region_kernel=0"),
        ({"dropout": -0.1}, r"dropout=-0\.1"),
        ({"scales": (0.5, 2.0)}, r"hold 1\.0"),
        ({"scales": (1.0, 1.0)}, "different"),
        ({"scales": (1.0, 0.0)}, "positive"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        OCRNet([16, 32], 3, **options)
