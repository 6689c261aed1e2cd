"""DPT: maps of evenly spaced blocks and their class token become a pyramid."""

import pytest
import timm
import torch

from pixelwise.errors import InputError
from pixelwise.networks.backbones.plain_transformers import set_taps
from pixelwise.networks.backbones.timm import Backbone
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named
from pixelwise.networks.segmenter import load

NARROW = {"width": 8, "widths": (4, 6, 8, 10)}


def dpt(backbone="test_vit", **options):
    torch.manual_seed(0)
    chosen = options.pop("backbone_options", None)
    return create_model(
        "dpt", backbone, num_classes=3, backbone_options=chosen, **NARROW, **options
    ).eval()


def test_four_blocks_evenly_spaced():
    with torch.device("meta"):
        body = timm.create_model("vit_tiny_patch16_224", features_only=True)
    set_taps(body, 4)
    assert body.out_indices == [2, 5, 8, 11]
    assert body.feature_info.channels() == [192] * 4
    set_taps(body, 40)
    assert body.out_indices == list(range(12))
    assert dpt().backbone.body.out_indices == [0, 2, 3, 5]  # of six
    asked = dpt(backbone_options={"out_indices": [1, 2, 4, 5]})
    assert asked.backbone.body.out_indices == [1, 2, 4, 5]


def test_a_backbone_of_stages_keeps_its_maps():
    assert Backbone("test_resnet", taps=2).channels == Backbone("test_resnet").channels
    model = dpt("test_resnet")
    assert not any(p.numel() for part in model.decoder.resizes for p in part.parameters())


def test_fewer_blocks_than_maps():
    model = dpt(backbone_options={"out_indices": [2, 5]})
    assert model.decoder.count == 2
    with torch.no_grad():
        assert model(torch.randn(1, 3, 40, 33)).shape == (1, 3, 40, 33)


@pytest.mark.parametrize("backbone", ["test_vit", "vit_tiny_patch16_dinov3_qkvb"])
def test_the_class_token_stands_beside_each_pixel(backbone):
    beside = Backbone(backbone, taps=4, class_token=True, options={"depth": 4}).eval()
    image = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        maps = beside(image)
        pairs = beside.body.model.forward_intermediates(
            image, indices=beside.body.out_indices, intermediates_only=True,
            return_prefix_tokens=True,
        )  # fmt: skip
    for found, (own, tokens) in zip(maps, pairs, strict=True):
        assert torch.equal(found[:, : own.shape[1]], own)
        assert torch.equal(found[:, own.shape[1] :, 1, 2], tokens[:, 0])


@pytest.mark.parametrize("readout", ["ignore", "add", "project"])
def test_each_readout_with_pictures_of_any_size(readout, tmp_path):
    model = dpt(readout=readout)
    for size in ((1, 1), (37, 50)):
        image = torch.randn(2, 3, *size)
        with torch.no_grad():
            logits = model(image)
        assert logits.shape == (2, 3, *size)
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(load(tmp_path)(image), logits)


def test_a_backbone_without_a_class_token_is_refused():
    for name in ("test_resnet", "test_vit2"):
        with pytest.raises(InputError, match=f"backbone='{name}': has no class token.*; take rea"):
            dpt(name, readout="add")


def test_published_size():
    """mmsegmentation's head for ViT-B: 768 channels, readouts project, 150 classes."""
    with torch.device("meta"):
        head = decoder_named("dpt")([1536] * 4, 150, readout="project")
    readouts = 4 * (2 * 768 * 768 + 768)
    widths = (96, 192, 384, 768)
    pyramid = sum(768 * w + w + 9 * w * 256 for w in widths)
    resizes = 96 * 96 * 16 + 96 + 192 * 192 * 4 + 192 + 768 * 768 * 9 + 768
    fusions = 7 * 2 * (9 * 256 * 256 + 512) + 4 * (256 * 256 + 256)
    last = 9 * 256 * 256 + 512 + 256 * 150 + 150
    counted = sum(p.numel() for p in head.parameters())
    assert counted == readouts + pyramid + resizes + fusions + last


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0: must be at least 1"),
        ({"widths": (8, 8)}, r"widths=\(8, 8\): must be 4 numbers, one per map of the pyramid; e"),
        ({"widths": (8, 8, 8, 0)}, "widths=0: must be at least 1"),
        ({"readout": "cls"}, "readout='cls': must be one of 'ignore', 'add', 'project'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        decoder_named("dpt")([8] * 4, 3, **options)
