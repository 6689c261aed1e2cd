"""Layers and convolutions inside residual blocks, and other codes' rules of dilation."""

import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.networks.backbones.residual import convolutions
from pixelwise.networks.backbones.timm import Backbone
from pixelwise.networks.factory import create_model

SMALL = "test_resnet"


def dilations(body, name):
    return [
        (key.removeprefix("layer"), conv.dilation[0])
        for key, conv in body.named_modules()
        if isinstance(conv, nn.Conv2d) and key.endswith(name) and key.startswith("layer")
    ]


def test_inner_layers_stand_before_the_last_convolution():
    body = Backbone("resnet18", attention={"inner3": ("psa_s", {})}).eval().body
    block = body.layer3[1]
    x = torch.randn(1, 256, 6, 5).relu()
    layer = block.aa
    assert type(layer).key == "psa_s"
    inside = layer(block.bn1(block.conv1(x)).relu())
    torch.testing.assert_close(block(x), (block.bn2(block.conv2(inside)) + x).relu())
    assert isinstance(body.layer2[0].aa, nn.Identity)


def test_layers_in_blocks_stand_before_the_sum():
    body = Backbone("resnet26", attention={"blocks": ("gc", {})}).eval().body
    block = body.layer2[1]
    x = torch.randn(1, 512, 6, 5).relu()
    nn.init.normal_(block.se.add.expand.weight)
    inside = block.bn1(block.conv1(x)).relu()
    inside = block.bn2(block.conv2(inside)).relu()
    expected = (block.se(block.bn3(block.conv3(inside))) + x).relu()
    torch.testing.assert_close(block(x), expected)
    assert all(b.se is not None for stage in (body.layer1, body.layer4) for b in stage)


def test_every_basic_block_of_an_hrnet_can_hold_polarized_attention():
    places = ("inner2", "inner3", "inner4")
    backbone = Backbone("hrnet_w18_small", attention={p: ("psa_s", {}) for p in places})
    names = [
        key for key, module in backbone.named_modules() if getattr(module, "key", "") == "psa_s"
    ]
    assert len(names) == 2 * (2 + 3 + 4)  # blocks x branches of stages 2 to 4
    assert not any(name.startswith("body.layer1") for name in names)
    assert backbone.channels == [64, 16, 32, 64, 128]


def test_hrnet_resizes_as_told():
    def branches(resize):
        torch.manual_seed(0)
        return Backbone("hrnet_w18_small", options={"resize": resize}).eval()

    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        nearest, bilinear, aligned = (
            branches(how)(image)[1] for how in ("nearest", "bilinear", "bilinear_aligned")
        )
        torch.testing.assert_close(Backbone.forward(branches(None), image)[1], nearest)
    assert not torch.allclose(nearest, bilinear)
    assert not torch.allclose(bilinear, aligned)


@pytest.mark.parametrize(
    ("rule", "backbone", "conv", "expected"),
    [
        ("contract", "resnet26", "conv2", [1, 2]),
        ("full", "resnet26", "conv2", [2, 2]),
        ("contract", "resnet18", "conv1", [1, 2]),
        ("contract", "resnet18", "conv2", [2, 2]),
        ("first_conv", "resnet18", "conv1", [1, 2]),
        ("first_conv", "resnet18", "conv2", [1, 1]),
        ("full", "resnet18", "conv1", [2, 2]),
    ],
)
def test_rules_of_dilation(rule, backbone, conv, expected):
    body = Backbone(backbone, output_stride=8, options={"dilation": rule}).body
    found = dilations(body, conv)
    third = [d for key, d in found if key.startswith("3")]
    fourth = [d for key, d in found if key.startswith("4")]
    assert third[:2] == expected
    assert fourth[-1] == (1 if (rule, conv) == ("first_conv", "conv2") else 4)


def test_a_mobile_network_dilates_the_first_block_of_a_stage():
    options = {"dilation": "first_block"}
    body = Backbone("mobilenetv2_100", output_stride=8, options=options).body
    found = [[block.conv_dw.dilation[0] for block in stage] for stage in body.blocks]
    assert found[2:] == [[1, 1, 1], [2, 1, 1, 1], [2, 1, 1], [4, 1, 1], [4]]


def test_deformable_stages_start_as_half_a_convolution():
    torch.manual_seed(0)
    plain = Backbone("resnet18", output_stride=8).eval()
    torch.manual_seed(0)
    deform = Backbone("resnet18", output_stride=8, convolution={"stage4": ("deform", {})}).eval()
    for theirs, ours in zip(plain.body.layer4, deform.body.layer4, strict=True):
        torch.testing.assert_close(ours.conv2.weight, theirs.conv2.weight)
        ours.conv2.weight.data.mul_(2)  # masks start at a half
    image = torch.randn(1, 3, 65, 49)
    torch.testing.assert_close(deform(image)[-1], plain(image)[-1], rtol=1e-4, atol=1e-5)


def test_what_can_stand_for_a_convolution():
    assert convolutions() == ["acmix", "deform", "sk", "spd"]


def test_acmix_stands_for_every_three_by_three_convolution_of_a_stage():
    backbone = Backbone("resnet26", convolution={"stage4": ("acmix", {"kernel_size": 3})})
    assert [type(block.conv2).key for block in backbone.body.layer4] == ["acmix", "acmix"]
    assert isinstance(backbone.body.layer3[0].conv2, nn.Conv2d)


@pytest.mark.parametrize("backbone", ["resnet18", SMALL])
def test_space_to_depth_takes_the_place_of_strides(backbone):
    plan = {f"stage{i}": ("spd", {}) for i in (2, 3, 4)}
    plain, ours = Backbone(backbone), Backbone(backbone, convolution=plan)
    assert ours.reductions == plain.reductions
    assert ours.multiple == 32
    strided = [
        key
        for key, module in ours.body.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2) and "downsample" not in key
    ]
    assert not any(key.startswith(("layer2", "layer3", "layer4")) for key in strided)
    image = torch.randn(1, 3, 64, 96)
    assert [f.shape for f in ours.eval()(image)] == [f.shape for f in plain.eval()(image)]


def test_published_combinations_can_be_changed():
    model = create_model("acmix_resnet", "resnet26", num_classes=3)
    assert model.config.arch == "fcn"
    assert type(model.backbone.body.layer1[0].conv2).key == "acmix"
    plain = create_model("acmix_resnet", SMALL, num_classes=3, convolution="none")
    assert plain.config.convolution == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "test_convnext", "attention": "gc@inner"}, "no residual blocks there"),
        ({"backbone": "seresnet18", "attention": "gc@blocks"}, "have a layer there already"),
        ({"attention": "spd@inner4"}, "changes the shape"),
        ({"attention": "gc@inner5"}, "stages are 1 to 4"),
        ({"convolution": "spd@1"}, "no block strides there"),
        ({"convolution": "defrom@1"}, "did you mean 'deform'"),
        ({"convolution": "deform@inner"}, "give stages"),
        ({"convolution": {3: {"name": "spd", "factor": 2}}, "output_stride": 32}, "has no options"),
        ({"backbone_options": {"stemtype": "deep"}}, "stemtype"),
        ({"backbone_options": {"dilation": "all"}}, "dilation='all': unknown dilation"),
        ({"backbone_options": {"resize": "bilinear"}}, "is for HRNets"),
        ({"backbone_options": {"dilation": "first_conv"}}, "is for basic blocks"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        create_model("fcn", **({"backbone": SMALL, "num_classes": 3} | options))
