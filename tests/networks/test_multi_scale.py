"""Networks that run at several scales."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.networks.factory import create_model
from pixelwise.networks.multi_scale import combine, over_scales
from pixelwise.networks.segmenter import Segmenter

SMALL = {"width": 16, "key_width": 8, "num_classes": 3}


def network(*scales, **options):
    torch.manual_seed(0)
    return create_model("ocrnet", "test_resnet", scales=scales, **SMALL | options)


def at(x, like, align_corners=False):
    size = like.shape[2:]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_rule_from_the_largest_scale_to_the_smallest(align_corners):
    """Two large scales shrink to the picture's size; a small one grows to it."""
    logits = {2.0: torch.randn(1, 3, 14, 18), 1.0: torch.randn(1, 3, 7, 9)}
    logits[0.5] = torch.randn(1, 3, 3, 4)
    weights = {scale: torch.rand(1, 1, *x.shape[2:]) for scale, x in logits.items()}
    options = {"align_corners": align_corners}
    first = combine(logits[2.0], logits[1.0], weights[1.0], shrink=True, **options)
    found = combine(first, logits[0.5], weights[0.5], shrink=False, **options)
    y = at(logits[2.0], logits[1.0], align_corners)
    y = weights[1.0] * logits[1.0] + (1 - weights[1.0]) * y
    up = at(weights[0.5] * logits[0.5], y, align_corners)
    torch.testing.assert_close(found, up + (1 - at(weights[0.5], y, align_corners)) * y)


def test_every_scale_sees_the_picture_at_its_size():
    model = network(0.5, 2.0, 1.0, align_corners=False).eval()
    image = torch.randn(1, 3, 21, 30)
    seen = []

    def run(picture):
        seen.append(tuple(picture.shape[2:]))
        outputs, weights = model.decoder.weighed(model.backbone(picture))
        return outputs._replace(
            logits=at(outputs.logits, picture),
            auxiliary={name: at(x, picture) for name, x in outputs.auxiliary.items()},
        ), at(weights, picture)

    expected = over_scales(run, image, (0.5, 1.0, 2.0), align_corners=False)
    assert seen == [(42, 60), (21, 30), (10, 15)]
    outputs = model.with_auxiliary(image)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(model(image), expected.logits)


@pytest.mark.parametrize("size", [(1, 1), (33, 20)])
def test_any_size(size):
    model = network(0.25, 1.0, 1.5).eval()
    assert model(torch.randn(1, 3, *size)).shape == (1, 3, *size)


def test_training_leaves_out_what_is_larger_and_all_parameters_learn():
    model = network(0.5, 1.0, 2.0)
    assert model.decoder.running_scales == (1.0, 0.5)
    assert model.eval().decoder.running_scales == (2.0, 1.0, 0.5)
    assert network(1.0, 2.0).decoder.running_scales == (2.0, 1.0)
    outputs = model.train().with_auxiliary(torch.randn(2, 3, 64, 48))
    assert outputs.auxiliary.keys() == model.auxiliary_weights.keys()
    total = outputs.logits.square().mean() + outputs.auxiliary["regions"].square().mean()
    total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_one_scale_has_no_weights_and_costs_nothing():
    keys = network(1.0).state_dict().keys()
    assert keys == create_model("ocrnet", "test_resnet", **SMALL).state_dict().keys()
    assert any("weigh" in key for key in network(0.5, 1.0).state_dict())


def test_a_saved_network_keeps_its_scales(tmp_path):
    model = network(0.5, 1.0).eval()
    model.save_pretrained(tmp_path)
    image = torch.randn(1, 3, 20, 24)
    torch.testing.assert_close(Segmenter.from_pretrained(tmp_path)(image), model(image))


@pytest.mark.slow
def test_exports_with_free_size():
    model = network(0.5, 1.0).eval()
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(model, (torch.randn(1, 3, 70, 90),), dynamic_shapes=(free,))
    for size in ((70, 90), (97, 65)):
        image = torch.randn(1, 3, *size)
        torch.testing.assert_close(exported.module()(image), model(image), rtol=1e-4, atol=1e-5)
