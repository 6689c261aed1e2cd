"""What a file is, read off its keys and shapes: full-size networks, without numbers."""

from pathlib import Path

import keys
import pytest
import torch
from files import PUBLISHED

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.convert import fit, recognise
from pixelwise.networks.segmenter import Segmenter

R50, R101 = (3, 4, 6, 3), (3, 4, 23, 3)


def empty(shapes, **meta):
    """A checkpoint whose tensors have shapes and no numbers."""
    state = {k: torch.empty(tuple(shape), device="meta") for k, shape in shapes.items()}
    return Checkpoint(Path("a.pth"), state, meta)


MMSEG = {
    "danet_r50-d8": {"arch": "danet", "width": 512, "key_width": 64},
    "isanet_r50-d8": {"arch": "isanet", "width": 512, "key_width": 256, "value_bias": True},
    "emanet_r50-d8": {"arch": "emanet", "width": 256, "attention_width": 512, "bases": 64},
    "encnet_r50-d8": {"arch": "encnet", "width": 512, "codes": 32, "lateral": 0, "presence": True},
    "gcnet_r50-d8": {"arch": "gcnet", "width": 512, "hidden": 128, "fusions": ("add",)},
    "nonlocal_r50-d8": {"arch": "nonlocal", "width": 512, "hidden": 256, "concatenate": True},
    "psanet_r50-d8": {"arch": "psanet", "width": 512, "mask_size": (97, 97), "directions": "both"},
    "ccnet_r50-d8": {"arch": "ccnet", "width": 512, "hidden": 64, "activation": "relu"},
    "dnl_r50-d8": {"arch": "dnlnet", "width": 512, "hidden": 256, "concatenate": True},
    "ocrnet_r50-d8": {"arch": "ocrnet", "width": 512, "key_width": 256, "region_width": 256},
    "ocrnet_hr18": {"arch": "ocrnet", "features": "all", "region_width": 270, "region_kernel": 1},
    "ann_r50-d8": {"arch": "ann", "width": 512, "key_width": 256, "query_scales": (1,)},
    "apcnet_r50-d8": {"arch": "apcnet", "pool_scales": (1, 2, 3, 6), "fusion": True},
    "dmnet_r50-d8": {"arch": "dmnet", "filter_sizes": (1, 3, 5, 7), "fusion": False},
    "pspnet_r50-d8": {"arch": "pspnet", "width": 512, "pool_scales": (1, 2, 3, 6)},
    "fcn_r50-d8": {"arch": "fcn", "width": 512, "convs": 2, "concatenate": True},
    "deeplabv3plus_r50-d8": {"arch": "deeplabv3plus", "width": 512, "detail_width": 48},
    "bisenetv2": {"arch": "bisenetv2", "width": 1024, "variant": "mmsegmentation"},
}
BACKBONES = {"ocrnet_hr18": "hrnet_w18", "bisenetv2": "bisenetv2"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_of_mmsegmentation(name):
    found = recognise(empty(PUBLISHED[name]))
    config = found.config
    wanted = dict(MMSEG[name])
    assert found.code.startswith("mmsegmentation")
    assert config.arch == wanted.pop("arch")
    assert config.backbone == BACKBONES.get(name, "resnet50")
    assert config.num_classes == 19
    assert {key: config.options[key] for key in wanted} == wanted
    if config.backbone == "resnet50":
        assert config.backbone_options == {"stem_type": "deep", "stem_width": 32}
        assert config.output_stride == 8
    assert not found.left_out
    assert {*found.backbone, *found.decoder} == set(PUBLISHED[name])


AUTHORS = {
    "DANet": (keys.danet(64, R101, 19), "danet", "resnet101"),
    "PyTorch-Encoding": (keys.encnet(64, R50, 150, 32, True), "encnet", "resnet50"),
    "EMANet": (keys.emanet(64, R101, 21, 64), "emanet", "resnet101"),
    "semseg": (keys.psanet(64, R50, 19, 89), "psanet", "resnet50"),
    "CCNet": (keys.ccnet(64, R101, 19), "ccnet", "resnet101"),
    "openseg.pytorch": (keys.isanet(64, R101, 19), "isanet", "resnet101"),
    "HRNet-Semantic-Segmentation": (keys.hrnet_seg(48, 19), "hrnetv2", "hrnet_w18"),
    "HRNet-OCR": (keys.hrnet_ocr(48, 19, 512), "ocrnet", "hrnet_w18"),
    "DeLightCMU/PSA": (keys.psa(48, 19, 512), "ocrnet", "hrnet_w18"),
    "NVIDIA/semantic-segmentation": (keys.psa(48, 19, 512, None, True), "ocrnet", "hrnet_w18"),
    "CoinCheung/BiSeNet": (keys.bisenet(19), "bisenetv2", "bisenetv2"),
    "AttU_Net": (keys.unet(64, 3), "attention_unet", "unet_encoder"),
    "U_Net": (keys.unet(64, 3, gates=False), "unet", "unet_encoder"),
    "GCNet": (keys.gcnet(64, R50), "fcn", "resnet50"),
    "SimpleBaseline": (keys.pose_resnet(64, R101, 17, 256), "simple_baseline", "resnet101"),
    "HRNet for keypoints": (keys.pose_hrnet(32, 17), "simple_baseline", "hrnet_w18"),
    "mmpose": (
        keys.mmpose(keys.plain_stem() | keys.stages(64, R50, 64), keys.pose_head(2048, 17, 256)),
        "simple_baseline",
        "resnet50",
    ),
}


@pytest.mark.parametrize("code", AUTHORS)
def test_networks_of_the_authors(code):
    shapes, arch, backbone = AUTHORS[code]
    found = recognise(empty(shapes))
    assert (found.code, found.config.arch, found.config.backbone) == (code, arch, backbone)
    named = {*found.left_out, *found.backbone, *found.decoder}
    assert set(shapes) <= named
    assert all(key.endswith(".num_batches_tracked") for key in named - set(shapes))


def test_published_hrnets_by_their_width():
    shapes = PUBLISHED["ocrnet_hr18"]
    assert not {"stage4", "num_modules"} & set(recognise(empty(shapes)).config.backbone_options)
    wide = {k: tuple(48 * s // 18 if s % 18 == 0 else s for s in v) for k, v in shapes.items()}
    assert recognise(empty(wide)).config.backbone == "hrnet_w48"


@pytest.mark.parametrize("name", ["danet_r50-d8", "psanet_r50-d8", "deeplabv3plus_r50-d8"])
def test_full_size_networks_fit(name):
    with torch.device("meta"):
        found = recognise(empty(PUBLISHED[name]))
        assert fit(Segmenter(found.config), found) == len(PUBLISHED[name])


def test_inputs_follow_the_code_that_trained():
    ccnet = recognise(empty(AUTHORS["CCNet"][0])).config
    assert (ccnet.bands, ccnet.scale, ccnet.std) == ((2, 1, 0), 1.0, (1.0, 1.0, 1.0))
    assert ccnet.mean == (104.00698793, 116.66876762, 122.67891434)
    danet = recognise(empty(AUTHORS["DANet"][0])).config
    assert danet.bands is None
    assert (danet.mean, danet.align_corners) == ((0.485, 0.456, 0.406), True)
    assert danet.multi_grid == (4, 8, 16)
    openseg = recognise(empty(AUTHORS["openseg.pytorch"][0])).config
    assert (openseg.bands, openseg.mean[0], openseg.scale) == ((2, 1, 0), 102.9801, 1.0)
    normalize = {"div_value": 255.0, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}
    settings = {"normalize": normalize, "network": {"factors": [[4, 4]], "multi_grid": [1, 2, 4]}}
    openseg = recognise(empty(AUTHORS["openseg.pytorch"][0], config_dict=settings)).config
    assert (openseg.mean, openseg.scale) == ((0.5, 0.4, 0.3), 255.0)
    assert openseg.options["down_factors"] == ((4, 4),)
    assert openseg.multi_grid == (4, 8, 16)


CONFIGURATION = """
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(mean=[1.0, 2.0, 3.0], std=[10.0, 20.0, 30.0], bgr_to_rgb={rgb}),
    backbone=dict(type='ResNetV1c', strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2),
                  contract_dilation={contract}, multi_grid=(1, 2, 4)),
    decode_head=dict(type='ISAHead', down_factor=(4, 2), dropout_ratio=0.2, align_corners=True))
never = __import__('os').system('false')
"""


def test_the_files_own_configuration_wins():
    text = CONFIGURATION.format(rgb=False, contract=True)
    meta = {"cfg": text, "mmengine_version": "0.10", "dataset_meta": {"classes": ("a", "b")}}
    found = recognise(empty(PUBLISHED["isanet_r50-d8"], meta=meta))
    config = found.config
    assert found.code == "mmsegmentation 1.x"
    assert config.options["down_factors"] == ((4, 2),)
    assert config.options["dropout"] == 0.2
    assert (config.output_stride, config.multi_grid, config.align_corners) == (16, (1, 2, 4), True)
    assert config.bands == (2, 1, 0)
    assert config.mean == (1 / 255, 2 / 255, 3 / 255)
    assert config.names == ()  # two names for nineteen classes
    assert "dilation" not in config.backbone_options
    assert "not told" not in " ".join(found.differences)
    text = CONFIGURATION.format(rgb=True, contract=False)
    config = recognise(empty(PUBLISHED["isanet_r50-d8"], meta={"config": text})).config
    assert config.bands is None
    assert config.backbone_options["dilation"] == "full"


@pytest.mark.parametrize("text", ["model = (", "\x00", "import os", "model = 3", "x: int = 3"])
def test_an_unreadable_configuration_is_as_none(text):
    config = recognise(empty(PUBLISHED["danet_r50-d8"], meta={"config": text})).config
    assert (config.output_stride, config.align_corners) == (8, False)


def test_one_output_is_a_binary_task():
    shapes = {k: (1, *s[1:]) if "conv_seg" in k else s for k, s in PUBLISHED["fcn_r50-d8"].items()}
    assert recognise(empty(shapes)).config.task == "binary"


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_depths(depth):
    counts = {18: (2, 2, 2, 2), 34: R50, 50: R50, 101: R101, 152: (3, 8, 36, 3)}[depth]
    shapes = keys.danet(64, counts, 19)
    if depth < 50:
        shapes = {k: s for k, s in shapes.items() if ".conv3." not in k and ".bn3." not in k}
    assert recognise(empty(shapes)).config.backbone == f"resnet{depth}"


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({"a.weight": (1,), "b.weight": (2,)}, "no known code base, a.weight, b.weight; known:"),
        ({"stage4.0.a": (1,), "classifier.weight": (1,)}, "there is no segmentation head"),
        ({"stage4.0.a": (1,), "last_layer.0.weight": (1,)}, "missing|may be empty"),
        ({"backbone.layer1.0.conv1.weight": (1,), "decode_head.mlp.weight": (1,)}, "parts mlp"),
        ({"pretrained.conv1.weight": (1,), "head.conv5.8.weight": (1,)}, "a checkpoint of DANet"),
        (
            {"pretrained.layer1.0.conv1.weight": (1, 1), "head.sa.gamma": (1,)},
            "missing|may be empty",
        ),
    ],
)
def test_what_is_not_known_is_said(shapes, told):
    with pytest.raises(InputError, match=told):
        recognise(empty(shapes))
