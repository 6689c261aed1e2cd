"""Networks for keypoints: transposed convolutions on ResNets, one convolution on HRNets."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise import cost
from pixelwise.errors import InputError
from pixelwise.networks.backbones.timm import Backbone
from pixelwise.networks.decoders.simple_baseline import SimpleBaseline
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import resolve

SMALL = "hrnet_w18_small"


def test_by_its_equations():
    torch.manual_seed(0)
    head = SimpleBaseline([4, 6], 5, widths=(8, 7, 9), kernels=(4, 3, 2), bias=True, kernel_size=3)
    head = head.double().eval()
    for part in head.modules():
        if isinstance(part, nn.ConvTranspose2d | nn.Conv2d):
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    y = x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    for i, (padding, more) in enumerate(((1, 0), (1, 1), (0, 0))):
        step, norm = head.enlarge[3 * i], head.enlarge[3 * i + 1]
        y = F.conv_transpose2d(y, step.weight, step.bias, 2, padding, more)
        y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
        assert y.shape[2:] == (6 * 2**i, 10 * 2**i)
    logits = F.conv2d(y, head.classify.weight, head.classify.bias, padding=1)
    torch.testing.assert_close(head([torch.zeros(2, 4, 6, 10), x]), logits)


def test_kernels_begin_small():
    torch.manual_seed(0)
    head = SimpleBaseline([64], 17, bias=True)
    kernels = [p for p in head.parameters() if p.ndim == 4]
    assert len(kernels) == 4
    assert all(kernel.std().item() == pytest.approx(0.001, rel=0.05) for kernel in kernels)
    convolutions = [p for p in head.modules() if isinstance(p, nn.ConvTranspose2d | nn.Conv2d)]
    assert all(not part.bias.any() for part in convolutions)


def test_the_head_can_be_left_out():
    head = SimpleBaseline([4], 8, widths=(8,), kernel_size=0).eval()
    x = torch.randn(1, 4, 3, 3)
    assert torch.equal(head([x]), head.enlarge(x))


REFUSED = {
    "kernels=5: must be 2, 3 or 4": {"kernels": 5},
    r"kernels=\(4, 4\): must be one per width, 3 of them": {"kernels": (4, 4)},
    "kernel_size=2: must be 0, 1 or 3": {"kernel_size": 2},
    "kernel_size=0: the last width, 256, must be that of the outputs, 5": {"kernel_size": 0},
    "widths=0: must be at least 1": {"widths": (8, 0)},
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_cannot_be_is_refused(told):
    with pytest.raises(InputError, match=told):
        SimpleBaseline([4], 5, **REFUSED[told])


PUBLISHED = {
    ("simple_baseline", "resnet50"): 34.0,
    ("simple_baseline", "resnet101"): 53.0,
    ("simple_baseline", "resnet152"): 68.6,
    ("hrnet_pose", "hrnet_w32"): 28.5,
    ("hrnet_pose", "hrnet_w48"): 63.6,
}
"""Millions of parameters in the papers' tables of COCO, for 17 points."""


@pytest.mark.parametrize(("arch", "backbone"), PUBLISHED)
def test_published_sizes(arch, backbone):
    with torch.device("meta"):
        model = create_model(arch, backbone, num_classes=17)
    assert cost.parameters(model) / 1e6 == pytest.approx(PUBLISHED[arch, backbone], abs=0.05)


def test_the_finest_branch_is_that_of_the_whole_network():
    whole, finest = Backbone(SMALL), Backbone(SMALL, options={"branches": "finest"})
    finest.load_state_dict({k: whole.state_dict()[k] for k in finest.state_dict()})
    assert (finest.channels, finest.reductions, finest.multiple) == ([64, 16], [2, 4], 1)
    image = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        maps = finest.eval()(image)
        assert all(map(torch.equal, maps, whole.eval()(image)))
    assert len(maps) == 2


@pytest.mark.parametrize("layer", ["psa_p", "psa_s"])
@pytest.mark.parametrize(
    ("arch", "backbone", "blocks"), [("simple_baseline", "resnet26", 8), ("hrnet_pose", SMALL, 19)]
)
def test_polarized_attention_in_every_block(arch, backbone, blocks, layer):
    """As many blocks as there are; every parameter learns."""
    options = {"num_classes": 3, "task": "keypoints", "attention": f"{layer}@inner"}
    model = create_model(arch, backbone, **options)
    held = [name for name, part in model.named_modules() if getattr(part, "key", "") == layer]
    assert len(held) == blocks
    assert all(name.endswith(".aa") for name in held)
    maps = model(torch.randn(2, 3, 64, 64))
    assert maps.shape == (2, 3, 16, 16)
    maps.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_bottlenecks_in_the_style_of_caffe_stride_first():
    body = Backbone("resnet26", options={"style": "caffe"}).eval().body
    block = body.layer2[0]
    x = torch.randn(1, 256, 8, 6)
    y = block.bn1(F.conv2d(x, block.conv1.weight, stride=2)).relu()
    y = block.bn2(F.conv2d(y, block.conv2.weight, padding=1)).relu()
    expected = (block.bn3(block.conv3(y)) + block.downsample(x)).relu()
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(
    ("backbone", "options", "told"),
    [
        ("resnet18", {"style": "caffe"}, "style='caffe': is for bottlenecks, backbone 'resnet18'"),
        ("resnet26", {"style": "cafe"}, "did you mean 'caffe'"),
        ("resnet18", {"branches": "finest"}, "branches='finest': is for HRNets"),
        (SMALL, {"branches": "fine"}, "did you mean 'finest'"),
    ],
)
def test_rules_for_other_backbones_are_refused(backbone, options, told):
    with pytest.raises(InputError, match=told):
        Backbone(backbone, options=options)


def test_a_stem_of_another_width():
    backbone = Backbone(SMALL, options={"stem_width": 24})
    assert [f.shape[1] for f in backbone(torch.randn(2, 3, 65, 33))] == backbone.channels


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("simple_baseline", "SimpleBaseline PoseResNet pose_resnet TopDownSimpleHead"),
        ("hrnet_pose", "HRNet-Pose pose_hrnet PoseHighResolutionNet"),
    ],
)
def test_names_of_papers_and_code(key, names):
    assert {resolve(name) for name in [*names.split(), key]} == {key}
