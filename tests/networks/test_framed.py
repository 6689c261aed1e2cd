"""Decoders that hold one layer in a frame of convolutions, and those with none: fcn and fpn."""

import pytest
import torch
from torchvision.ops import FeaturePyramidNetwork

from pixelwise.errors import InputError
from pixelwise.networks.decoders.fpn import TopDown
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named

RESNET = [256, 512, 1024, 2048]
FRAMED = ("nonlocal", "dnlnet", "gcnet", "ccnet")
MMSEG = {"activation": "relu", "auxiliary_width": 256, "auxiliary_bias": False}


def on_meta(key, channels=RESNET, outputs=19, **options):
    with torch.device("meta"):
        return decoder_named(key)(channels, outputs, **options)


@pytest.mark.parametrize(
    ("key", "options", "size"),
    [
        ("nonlocal", {}, 26_496_550),
        ("dnlnet", {}, 26_497_063),
        ("gcnet", {}, 26_102_951),
        ("ccnet", {}, 28_663_975),
        ("ccnet", MMSEG, 26_298_791),
        ("fcn", {"width": 512, "convs": 2, "concatenate": True}, 25_970_470),
    ],
)
def test_published_sizes_for_resnets(key, options, size):
    assert sum(p.numel() for p in on_meta(key, **options).parameters()) == size


def test_published_size_of_the_semantic_feature_pyramid():
    with torch.device("meta"):
        model = create_model("fpn", "resnet50", num_classes=150)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 28.5


@pytest.mark.parametrize("key", [*FRAMED, "fpn"])
def test_narrow_maps_down_to_one_pixel(key):
    torch.manual_seed(0)
    decoder = decoder_named(key)([3, 5], 2).eval()
    features = [torch.randn(1, 3, 1, 2), torch.randn(1, 5, 1, 1)]
    finest = features[0] if key == "fpn" else features[1]
    assert decoder(features).shape == (1, 2, *finest.shape[2:])


@pytest.mark.parametrize("key", FRAMED)
def test_without_the_joined_convolution(key):
    decoder = on_meta(key, concatenate=False)
    assert decoder.joined is None
    assert decoder([torch.empty(1, c, 4, 6, device="meta") for c in RESNET]).shape == (1, 19, 4, 6)


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("nonlocal", {"width": 0}, "width=0: must be at least 1"),
        ("nonlocal", {"mode": "cosine"}, "mode='cosine': must be one of"),
        ("dnlnet", {"temperature": 0.0}, "temperature=0.0: must be above 0"),
        ("gcnet", {"fusions": ("add", "add")}, "fusions="),
        ("ccnet", {"recurrence": 0}, "recurrence=0: must be at least 1"),
        ("ccnet", {"activation": "gelu"}, "activation='gelu': must be one of"),
        ("fcn", {"features": "some"}, "features='some': must be one of"),
        ("fcn", {"convs": -1}, "convs=-1: must be at least 0"),
        ("fcn", {"kernel_size": 2}, "kernel_size=2: must be odd"),
        ("fcn", {"dilation": 0}, "dilation=0: must be at least 1"),
        ("fpn", {"neck": 0}, "neck=0: must be at least 1"),
        ("fpn", {"strides": (4, 8, 24)}, r"strides=\(4, 8, 24\): must rise by powers of two"),
        ("fpn", {"strides": (8, 4)}, "must rise"),
        ("fpn", {"strides": ()}, "must rise"),
    ],
)
def test_what_is_refused(key, options, message):
    with pytest.raises(InputError, match=message):
        on_meta(key, **options)


def test_the_whole_criss_cross_checkpoint_of_the_authors():
    """InPlaceABN counts no batches and scales by the size of its weight."""
    torch.manual_seed(0)
    source, copy = (decoder_named("ccnet")([16, 32], 3, joined=6).eval() for _ in range(2))
    names = {
        "before": "head.conva",
        "layer.query": "head.cca.query_conv",
        "layer.keys": "head.cca.key_conv",
        "layer.value": "head.cca.value_conv",
        "layer.gain": "head.cca.gamma",
        "after": "head.convb",
        "joined": "head.bottleneck",
        "classify.1": "head.bottleneck.3",
        "auxiliary.layers": "dsn",
        "auxiliary.layers.4": "dsn.3",
    }
    state = {}
    for name, value in source.state_dict().items():
        ours = max((o for o in names if name == o or name.startswith(o + ".")), key=len)
        if not name.endswith("num_batches_tracked"):
            state[names[ours] + name.removeprefix(ours)] = value.clone()
    for key in [key for key in state if key.endswith("running_var")]:
        state[key.replace("running_var", "weight")].sub_(1e-5).neg_()
    inside = {key.removeprefix("head."): value for key, value in state.items()}
    copy.load_reference(inside)
    features = [torch.randn(2, 16, 5, 4), torch.randn(2, 32, 5, 4)]
    torch.testing.assert_close(copy.with_auxiliary(features), source.with_auxiliary(features))
    with pytest.raises(InputError, match="activation='leaky_relu'"):
        decoder_named("ccnet")([16, 32], 3, joined=6, activation="relu").load_reference(inside)


def test_convolutions_of_the_baseline():
    with torch.device("meta"):
        x = torch.empty(1, 8, 7, 9)
    for options, first, classes in [
        ({"convs": 0}, None, 8),
        ({"convs": 0, "concatenate": True, "width": 5}, None, 5),
        ({"convs": 2, "kernel_size": 5, "dilation": 3}, (5, 3), 2),
    ]:
        decoder = on_meta("fcn", [8], 4, **options)
        assert decoder([x]).shape == (1, 4, 7, 9)
        assert decoder.classify[1].in_channels == classes
        if first is not None:
            assert (decoder.steps[1][0].kernel_size[0], decoder.steps[1][0].dilation[0]) == first


def test_baseline_on_all_maps_of_an_hrnet():
    torch.manual_seed(0)
    options = {"features": "all", "width": 14, "kernel_size": 1}
    decoder = decoder_named("fcn")([9, 2, 3, 4, 5], 3, auxiliary=False, **options).eval()
    sides = ((1, 1), (6, 8), (3, 4), (2, 2), (1, 1))
    maps = [torch.randn(1, c, *side) for c, side in zip((9, 2, 3, 4, 5), sides, strict=True)]
    resized = [
        torch.nn.functional.interpolate(x, size=(6, 8), mode="bilinear", align_corners=True)
        for x in maps[1:]
    ]
    plain = decoder_named("fcn")([14], 3, width=14, kernel_size=1, auxiliary=False).eval()
    plain.load_state_dict(decoder.state_dict())
    torch.testing.assert_close(decoder(maps), plain([torch.cat(resized, dim=1)]))


def test_neck_equals_torchvision():
    torch.manual_seed(0)
    theirs = FeaturePyramidNetwork([6, 8, 10], 4)
    ours = TopDown([6, 8, 10], 4)
    for kind, layers in (("inner_blocks", ours.lateral), ("layer_blocks", ours.smooth)):
        for layer, other in zip(layers, getattr(theirs, kind), strict=True):
            layer.load_state_dict(other[0].state_dict())
    sides = ((9, 13), (5, 7), (3, 4))
    maps = [torch.randn(2, c, *side) for c, side in zip((6, 8, 10), sides, strict=True)]
    wanted = theirs({str(i): x for i, x in enumerate(maps)})
    torch.testing.assert_close(ours(maps), list(wanted.values()))


def test_names_of_a_published_pyramid():
    decoder = on_meta("fpn")
    pairs = {
        "neck.lateral_convs.3.conv.weight": "neck.lateral.3.weight",
        "neck.fpn_convs.0.conv.bias": "neck.smooth.0.bias",
        "scale_heads.3.4.bn.running_var": "levels.3.2.1.running_var",
        "scale_heads.0.0.conv.weight": "levels.0.0.0.weight",
        "conv_seg.bias": "classify.1.bias",
    }
    assert {key: decoder.reference_name(key) for key in pairs} == pairs
    assert set(pairs.values()) <= decoder.state_dict().keys()


@pytest.mark.parametrize(
    ("maps", "strides", "steps"),
    [
        (5, (4, 8, 16, 32), [1, 1, 2, 3]),
        (3, (4, 8, 16, 32), [1, 1, 2]),
        (4, (4, 8, 8, 8), [1, 1, 1, 1]),
        (4, (4, 16), [1, 2]),
    ],
)
def test_levels_of_a_pyramid(maps, strides, steps):
    channels = [4 + i for i in range(maps)]
    decoder = on_meta("fpn", channels, width=2, neck=None, strides=strides)
    assert [len(level) for level in decoder.levels] == steps
    assert [level[0][0].in_channels for level in decoder.levels] == channels[-len(steps) :]
