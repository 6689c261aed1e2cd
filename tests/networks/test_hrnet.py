"""HRNets at any size, and the head of HRNetV2."""

import hypothesis.strategies as st
import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import nn

from pixelwise import cost
from pixelwise.errors import InputError
from pixelwise.networks.backbones.timm import Backbone
from pixelwise.networks.decoders.hrnetv2 import HRNetV2
from pixelwise.networks.factory import create_model

SMALL = "hrnet_w18_small"
RULES = {
    None: {"mode": "nearest"},
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear", "align_corners": False},
    "bilinear_aligned": {"mode": "bilinear", "align_corners": True},
    "bilinear_twice": {"mode": "bilinear", "align_corners": False},
}


def built(resize=None, **options):
    torch.manual_seed(0)
    options |= {"resize": resize} if resize else {}
    return Backbone(SMALL, options=options).eval().double()


def timms(backbone):
    plain = timm.create_model(SMALL, features_only=True, feature_location="").eval().double()
    plain.load_state_dict(backbone.body.state_dict())
    return plain


def joined(module, xs, rule):
    """One module of an HRNet by the equation, resizing to each other's size."""
    seen = [branch(x) for branch, x in zip(module.branches, xs, strict=True)]
    found = []
    for i, x in enumerate(seen):
        total = x
        for j, other in enumerate(seen):
            part = module.fuse_layers[i][j]
            if j < i:
                total = total + part(other)
            if j > i:
                z = part[1](part[0](other))
                if rule == "bilinear_twice":
                    z = F.interpolate(z, scale_factor=2 ** (j - i), **RULES[rule])
                total = total + F.interpolate(z, size=x.shape[2:], **RULES[rule])
        found.append(total.relu())
    return found


def expected(body, image, rule):
    stem = body.act1(body.bn1(body.conv1(image)))
    x = body.layer1(body.act2(body.bn2(body.conv2(stem))))
    xs = [part(x) for part in body.transition1]
    for stage, following in ((body.stage2, body.transition2), (body.stage3, body.transition3)):
        for module in stage:
            xs = joined(module, xs, rule)
        xs = [*xs, following[-1](xs[-1])]
    for module in body.stage4:
        xs = joined(module, xs, rule)
    return [stem, *xs]


@pytest.mark.parametrize("size", [(65, 97), (80, 112), (33, 1), (1, 1)])
@pytest.mark.parametrize("rule", RULES)
def test_branches_meet_at_each_others_size(rule, size):
    backbone = built(rule)
    image = torch.randn(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(image), expected(backbone.body, image, rule))


def test_at_multiples_of_32_the_numbers_are_timms():
    backbone, image = built(), torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        assert all(map(torch.equal, backbone(image), timms(backbone)(image)))


def test_resizing_twice_is_resizing_once_where_sides_divide():
    once, twice = built("bilinear"), built("bilinear_twice")
    with torch.no_grad():
        image = torch.randn(1, 3, 64, 96, dtype=torch.float64)
        torch.testing.assert_close(once(image), twice(image))
        image = torch.randn(1, 3, 80, 112, dtype=torch.float64)
        assert not torch.allclose(once(image)[1], twice(image)[1])


def test_pictures_are_not_padded():
    model = create_model("hrnet", SMALL, num_classes=3).eval()
    assert model.backbone.multiple == 1
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image = torch.randn(1, 3, 65, 97)
    assert model(image).shape == (1, 3, 65, 97)
    assert seen[0] is image


def stage(widths, block="BASIC"):
    return {
        "num_modules": 1,
        "num_branches": len(widths),
        "block_type": block,
        "num_blocks": (1,) * len(widths),
        "num_channels": widths,
        "fuse_method": "SUM",
    }


def test_a_stage_of_other_widths_is_led_there_branch_by_branch():
    widths = {"stage2": (8, 16), "stage3": (12, 16, 32), "stage4": (12, 24, 48, 64)}
    body = built(**{name: stage(given) for name, given in widths.items()}).body
    seen = {}
    for name in ("transition2.0", "transition3.1", "transition3.3"):
        part = body.get_submodule(name)
        part.register_forward_hook(lambda _, given, __, name=name: seen.update({name: given[0]}))
    features = body(torch.randn(1, 3, 65, 97, dtype=torch.float64))
    assert [f.shape[1] for f in features] == [64, 12, 24, 48, 64]
    shapes = {name: tuple(x.shape[1:]) for name, x in seen.items()}
    assert shapes == {
        "transition2.0": (8, 17, 25),
        "transition3.1": (16, 9, 13),
        "transition3.3": (32, 5, 7),
    }


def test_bottlenecks_in_every_stage():
    narrow = {f"stage{n}": stage((8, 8, 8, 8)[:n], "BOTTLENECK") for n in (1, 2, 3, 4)}
    backbone = built("bilinear", **narrow)
    with torch.no_grad():
        image = torch.randn(1, 3, 65, 97, dtype=torch.float64)
        torch.testing.assert_close(backbone(image), expected(backbone.body, image, "bilinear"))


NARROW = {f"stage{n}": stage((8, 12, 16, 20)[:n]) for n in (2, 3, 4)}
SIDES = st.integers(1, 200)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, deadline=None)
@given(rule=st.sampled_from(list(RULES)), height=SIDES, width=SIDES, batch=st.integers(1, 2))
def test_any_size_by_any_rule(rule, height, width, batch):
    """60 sizes and rules: by the equation, and none padded."""
    backbone = built(rule, **NARROW)
    assert backbone.multiple == 1
    with torch.no_grad():
        image = torch.randn(batch, 3, height, width, dtype=torch.float64)
        torch.testing.assert_close(backbone(image), expected(backbone.body, image, rule))


def test_the_head_by_its_equations():
    decoder = HRNetV2([4, 8, 16, 32, 64], 5, kernel_size=3).eval()
    features = [torch.randn(1, c, s, s + 1) for c, s in ((4, 33), (8, 17), (16, 9), (32, 5))]
    features.append(torch.randn(1, 64, 3, 4))
    up = [F.interpolate(f, (17, 18), mode="bilinear", align_corners=True) for f in features[1:]]
    x = F.conv2d(torch.cat(up, 1), decoder.join[0].weight, decoder.join[0].bias)
    x = F.batch_norm(x, torch.zeros(120), torch.ones(120)).relu()
    logits = F.conv2d(x, decoder.classify.weight, decoder.classify.bias, padding=1)
    torch.testing.assert_close(decoder(features), logits)


def test_published_size():
    """65.8 million in the paper's table of Cityscapes, for 19 classes."""
    with torch.device("meta"):
        decoder = HRNetV2([64, 48, 96, 192, 384], 19)
    body = timm.create_model("hrnet_w48", features_only=True, feature_location="")
    assert (cost.parameters(decoder) + cost.parameters(body)) / 1e6 == pytest.approx(65.8, abs=0.1)


def test_other_kernels_are_refused():
    with pytest.raises(InputError, match=r"kernel_size=2: must be 1 or 3; use one of them"):
        HRNetV2([8, 8], 2, kernel_size=2)


def test_hrnet_is_as_its_authors_have_it():
    model = create_model("hrnet", SMALL, num_classes=3)
    assert model.config.backbone_options == {"resize": "bilinear_aligned"}
    assert model.decoder.align_corners
    steps = [m for m in model.backbone.modules() if isinstance(m, nn.Upsample)]
    assert all(step.align_corners for step in steps)
