"""Imported networks give the logits of the same weights, put together by hand.

By hand: timm's backbone with a key map of a few lines, the decoder with its options written out and
its own `load_reference`, which the recorded vectors prove, and one resize.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import files
import keys
import pytest
import timm
import torch
import torch.nn.functional as F
from files import HERE, narrow, numbers, write
from safetensors import safe_open
from torch import nn

from pixelwise.interop.convert import import_checkpoint
from pixelwise.layers.registry import create
from pixelwise.networks.registry import available

SIZE = (64, 96)
RECORDED = HERE.parent / "golden" / "vectors" / "mmseg_danet_r18"
LAYERS = (1, 1, 2, 2)
ALIKE = {"first": (2, 4), "layers": LAYERS}
"""All blocks of a stage are dilated alike."""


def rename(pairs):
    """A key map: the first beginning that fits is replaced, others stay."""

    def named(key):
        for theirs, ours in pairs.items():
            if key.startswith(theirs):
                return ours + key.removeprefix(theirs)
        return key

    return named


SEQUENCE = {f"{{}}{i}.": f"conv1.{i}." for i in (0, 1, 3, 4, 6)} | {"{}7.": "bn1."}
MMSEG = rename({k.format("stem."): v for k, v in SEQUENCE.items()})
SEMSEG = rename({k.format("layer0."): v for k, v in SEQUENCE.items()})
THREE = {"conv1.": "conv1.0.", "bn1.": "conv1.1.", "conv2.": "conv1.3.", "bn2.": "conv1.4."}
THREE |= {"conv3.": "conv1.6.", "bn3.": "bn1."}
CCNET = rename(THREE)
OPENSEG = rename({f"resinit.{k}": v for k, v in THREE.items()})
EXTRACTOR = rename(
    {"0.": "conv1.", "1.": "bn1."} | {f"{i + 3}.": f"layer{i}." for i in range(1, 5)}
)


def resnet(state, *, stem=8, **options):
    """Narrow ResNet of one block per stage at output stride 8; `stem` 0 is a single convolution."""
    deep = {"stem_type": "deep", "stem_width": stem} if stem else {}
    widths = {"layers": (1, 1, 1, 1), "channels": (8, 16, 32, 64)}
    body = timm.create_model(
        "resnet50", features_only=True, **({"output_stride": 8} | widths | deep | options)
    )
    body.load_state_dict(state)
    return body


def dilated(state, *, first, **options):
    """Where the first blocks of the last two stages are dilated in another way than timm's."""
    body = resnet(state, **options)
    for stage, dilation in zip((body.layer3, body.layer4), first, strict=True):
        stage[0].conv2.dilation = stage[0].conv2.padding = (dilation, dilation)
    return body


def ceiled(state, rounded=resnet, **options):
    """Where the first pooling rounds up."""
    found = rounded(state, **options)
    found.maxpool.ceil_mode = True
    return found


def inplace(state, body=ceiled, **options):
    """Where norms are InPlaceABN without activation."""
    norms = [k.removesuffix(".running_var") for k in state if k.endswith(".running_var")]
    counts = {f"{name}.num_batches_tracked": torch.tensor(0) for name in norms}
    weights = {f"{name}.weight": state[f"{name}.weight"].abs() + 1e-5 for name in norms}
    return body({**state, **weights, **counts}, **options)


def hrnet(state, *, aligned, attention=False):
    stages = {
        f"stage{n}": {
            "num_modules": 1,
            "num_branches": n,
            "block_type": "BOTTLENECK" if n == 1 else "BASIC",
            "num_blocks": (1,) * n,
            "num_channels": (8,) if n == 1 else tuple(8 * 2**i for i in range(n)),
            "fuse_method": "SUM",
        }
        for n in (1, 2, 3, 4)
    }
    body = timm.create_model("hrnet_w18", features_only=True, feature_location="", **stages)
    for module in body.modules():
        if isinstance(module, nn.Upsample):
            module.mode, module.align_corners = "bilinear", aligned
    layers = {key.partition(".deattn.")[0] for key in state if ".deattn." in key}
    for name in layers:
        block = body.get_submodule(name)
        block.aa = create("psa_s", block.conv2.in_channels)
        start = f"{name}.deattn."
        block.aa.load_reference(
            {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
        )
    own = {k: v for k, v in body.state_dict().items() if ".aa." in k}
    body.load_state_dict({k: v for k, v in state.items() if ".deattn." not in k} | own)
    assert bool(layers) == attention
    return body


@dataclass
class Case:
    """A checkpoint, and its network by hand."""

    shapes: dict[str, tuple[int, ...]]
    arch: str
    options: dict[str, Any] = field(default_factory=dict)
    align: bool = False
    backbone: str = "backbone."
    """What the backbone's keys begin with."""
    body: Any = resnet
    name: Any = MMSEG
    build: dict[str, Any] = field(default_factory=dict)
    heads: tuple[str, ...] = ("decode_head.", "")
    """What is taken off the decoder's keys."""
    ignored: tuple[str, ...] = ()

    def expected(self, state, image):
        inside = {k: v for k, v in state.items() if not k.startswith(self.ignored or "-")}
        mine = {k: v for k, v in inside.items() if self.is_backbone(k)}
        body = self.body(
            {self.name(k.removeprefix(self.backbone)): v for k, v in mine.items()}, **self.build
        )
        channels = body.feature_info.channels()
        outputs = 19 if self.backbone == "backbone." and "decode_head." in self.heads else 4
        decoder = available()[self.arch](channels, outputs, **self.options)
        decoder.align_corners = self.align
        head = {}
        for key, value in inside.items():
            if key not in mine:
                start = next(h for h in self.heads if key.startswith(h))
                head[key.removeprefix(start)] = value
        decoder.load_reference(head)
        body, decoder = body.double().eval(), decoder.double().eval()
        logits = decoder(body(image))
        return F.interpolate(logits, image.shape[2:], mode="bilinear", align_corners=self.align)

    def is_backbone(self, key):
        if self.backbone:
            return key.startswith(self.backbone)
        return re.match(r"(conv|bn)\d\.|layer\d|stage\d|transition", key) is not None


def mmseg(name, arch, **options):
    return Case(narrow(name), arch, options, body=resnet, build={"stem": 4})


FRAMED = {"width": 64, "concatenate": True}
MIDDLE = {"hidden": 32, **FRAMED}
OCR = {"features": "all", "width": 16, "key_width": 8}
AUTHORS = {"align": True, "heads": ("head.", "")}
CASES = {
    "mmseg danet": mmseg("danet_r50-d8", "danet", key_width=8, auxiliary=True),
    "mmseg isanet": mmseg("isanet_r50-d8", "isanet", value_bias=True, auxiliary_width=32),
    "mmseg emanet": mmseg(
        "emanet_r50-d8", "emanet", variant="mmsegmentation", concatenate=True, auxiliary=True
    ),
    "mmseg encnet": mmseg("encnet_r50-d8", "encnet", codes=4),
    "mmseg gcnet": mmseg("gcnet_r50-d8", "gcnet", hidden=16, **FRAMED),
    "mmseg nonlocal": mmseg("nonlocal_r50-d8", "nonlocal", **MIDDLE),
    "mmseg dnlnet": mmseg("dnl_r50-d8", "dnlnet", **MIDDLE),
    "mmseg psanet": mmseg("psanet_r50-d8", "psanet", mask_size=(97, 97), variant="mmsegmentation"),
    "mmseg ccnet": mmseg(
        "ccnet_r50-d8",
        "ccnet",
        activation="relu",
        auxiliary_width=32,
        auxiliary_bias=False,
        hidden=8,
    ),
    "mmseg ocrnet": mmseg(
        "ocrnet_r50-d8", "ocrnet", width=64, key_width=32, region_width=32, bias=False
    ),
    "mmseg ann": mmseg("ann_r50-d8", "ann"),
    "mmseg apcnet": mmseg("apcnet_r50-d8", "apcnet"),
    "mmseg dmnet": mmseg("dmnet_r50-d8", "dmnet"),
    "mmseg pspnet": mmseg("pspnet_r50-d8", "pspnet"),
    "mmseg fcn": mmseg("fcn_r50-d8", "fcn", convs=2, concatenate=True),
    "mmseg deeplabv3plus": mmseg("deeplabv3plus_r50-d8", "deeplabv3plus", detail_width=6),
    "mmseg ocrnet hrnet": Case(
        keys.under("backbone.", keys.hrnet())
        | keys.under("decode_head.", keys.mmseg_cascade(120, 16, 8, 19)),
        "ocrnet",
        {"features": "all", "width": 16, "key_width": 8, "bias": False},
        name=str,
        body=hrnet,
        build={"aligned": False},
    ),
    "mmseg fcn hrnet": Case(
        keys.under("backbone.", keys.hrnet())
        | keys.under(
            "decode_head.",
            keys.conv_bn("convs.0", 120, 120, 1) | keys.conv("conv_seg", 19, 120, bias=True),
        ),
        "fcn",
        {"features": "all", "width": 120, "kernel_size": 1, "auxiliary": False},
        name=str,
        body=hrnet,
        build={"aligned": False},
    ),
    "danet": Case(
        keys.danet(),
        "danet",
        backbone="pretrained.",
        name=str,
        body=dilated,
        build={"stem": 0, "first": (1, 4)},
        **AUTHORS,
    ),
    "encnet": Case(
        keys.encnet(lateral=True),
        "encnet",
        {"codes": 4, "lateral": 2},
        backbone="pretrained.",
        name=str,
        build={"stem": 4},
        ignored=("pretrained.fc.",),
        **AUTHORS,
    ),
    "fcn": Case(
        keys.fcn(),
        "fcn",
        backbone="pretrained.",
        name=str,
        build={"stem": 0},
        align=True,
        heads=("",),
    ),
    "emanet": Case(
        keys.emanet(), "emanet", {"bases": 4}, backbone="extractor.", name=EXTRACTOR, **AUTHORS
    ),
    "psanet": Case(
        keys.psanet(layers=LAYERS),
        "psanet",
        {"mask_size": (9, 9)},
        backbone="layer",
        name=lambda key: SEMSEG("layer" + key),
        body=dilated,
        build=ALIKE,
        **AUTHORS,
    ),
    "pspnet": Case(
        keys.pspnet(layers=LAYERS),
        "pspnet",
        backbone="layer",
        name=lambda key: SEMSEG("layer" + key),
        body=dilated,
        build=ALIKE,
        **AUTHORS,
    ),
    "ccnet": Case(
        keys.ccnet(layers=LAYERS),
        "ccnet",
        {"hidden": 8},
        backbone="",
        name=CCNET,
        body=inplace,
        build={"rounded": dilated, **ALIKE},
        **AUTHORS,
    ),
    "isanet": Case(
        keys.isanet(inplace=False),
        "isanet",
        name=OPENSEG,
        body=ceiled,
        align=True,
        heads=("",),
    ),
    "isanet inplace": Case(
        keys.isanet(),
        "isanet",
        {"activation": "leaky_relu"},
        name=OPENSEG,
        body=inplace,
        align=True,
        heads=("",),
    ),
    "openseg ocrnet inplace": Case(
        keys.openseg_ocrnet(),
        "ocrnet",
        {"width": 64, "key_width": 32, "context_bias": True, "activation": "leaky_relu"},
        name=OPENSEG,
        body=inplace,
        align=True,
        heads=("",),
    ),
    "hrnet": Case(
        keys.hrnet_seg(),
        "hrnetv2",
        {},
        backbone="",
        name=str,
        body=hrnet,
        build={"aligned": True},
        align=True,
        heads=("",),
    ),
    "hrnet ocr": Case(
        keys.hrnet_ocr(),
        "ocrnet",
        OCR,
        backbone="",
        name=str,
        body=hrnet,
        build={"aligned": True},
        align=True,
        heads=("",),
    ),
    "psa": Case(
        keys.psa(),
        "ocrnet",
        OCR,
        name=str,
        body=hrnet,
        build={"aligned": False, "attention": True},
        heads=("",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_the_parts(name, tmp_path):
    case = CASES[name]
    state = numbers(case.shapes)
    image = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)).double()
    imported = import_checkpoint(write(tmp_path / "a.pth", state))
    with torch.no_grad():
        expected = case.expected(state, image)
        found = imported.model.double()(image)
    assert imported.model.config.arch == case.arch
    assert expected.std() > 1e-3
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


def mobile_names(key):
    """MobileNetV2 of timm -> mmsegmentation."""
    stem = {"conv_stem.": "conv1.conv.", "bn1.": "conv1.bn."}
    block = re.match(r"blocks\.(\d)\.(\d)\.(conv_\w+|bn\d)\.(\w+)", key)
    if block is None:
        return rename(stem)(key)
    stage, place, part, rest = block.groups()
    order = ("conv_dw", "conv_pw") if stage == "0" else ("conv_pw", "conv_dw", "conv_pwl")
    number = int(part[2]) - 1 if part.startswith("bn") else order.index(part)
    kind = "bn" if part.startswith("bn") else "conv"
    return f"layer{int(stage) + 1}.{place}.conv.{number}.{kind}.{rest}"


def test_mobilenet_v2_of_mmsegmentation(tmp_path):
    body = timm.create_model("mobilenetv2_050", features_only=True, output_stride=8)
    for stage, dilation in zip(body.blocks, (1, 1, 1, 2, 2, 4, 4), strict=True):
        for i, block in enumerate(stage):  # the first block alone is dilated
            taps = (1, 1) if i else (dilation, dilation)
            block.conv_dw.dilation = block.conv_dw.padding = taps
    decoder = available()["fcn"](body.feature_info.channels(), 5, width=32, auxiliary=False)
    shapes = {f"backbone.{mobile_names(k)}": v.shape for k, v in body.state_dict().items()}
    head = keys.conv_bn("convs.0", 32, 160) | keys.conv("conv_seg", 5, 32, bias=True)
    side = keys.conv_bn("convs.0", 32, 48) | keys.conv("conv_seg", 5, 32, bias=True)
    state = numbers(shapes | keys.under("decode_head.", head) | keys.under("auxiliary_head.", side))
    body.load_state_dict({k: state[f"backbone.{mobile_names(k)}"] for k in body.state_dict()})
    decoder.load_reference({k: state[f"decode_head.{k}"] for k in head})
    imported = import_checkpoint(write(tmp_path / "a.pth", state))
    assert imported.model.config.backbone == "mobilenetv2_050"
    assert len(imported.foreign.left_out) == len(side)
    assert "the auxiliary head, used in training alone, is left out" in str(imported.foreign)
    image = torch.randn(1, 3, *SIZE).double()
    with torch.no_grad():
        logits = decoder.double().eval()(body.double().eval()(image))
        found = imported.model.double()(image)
    expected = F.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_feature_pyramid_of_mmsegmentation(tmp_path):
    names = {k: s for k, s in narrow("fcn_r50-d8").items() if k.startswith("backbone.")}
    head = keys.conv("conv_seg", 5, 16, bias=True)
    for level, doublings in enumerate((1, 1, 2, 3)):
        for i in range(doublings):
            head |= keys.conv_bn(f"scale_heads.{level}.{2 * i}", 16, 16 if i else 24)
    neck = {}
    for level, width in enumerate((32, 64, 128, 256)):
        neck |= keys.conv(f"lateral_convs.{level}.conv", 24, width, bias=True)
        neck |= keys.conv(f"fpn_convs.{level}.conv", 24, 24, 3, True)
    head, neck = keys.under("decode_head.", head), keys.under("neck.", neck)
    state = numbers(names | head | neck)
    imported = import_checkpoint(write(tmp_path / "a.pth", state))
    config = imported.model.config
    assert (config.arch, config.output_stride) == ("fpn", 32)
    mine = {MMSEG(k.removeprefix("backbone.")): v for k, v in state.items() if k in names}
    body = resnet(mine, stem=4, output_stride=32).double().eval()
    decoder = available()["fpn"](body.feature_info.channels(), 5, width=16, neck=24)
    decoder.load_reference(
        {k.removeprefix("decode_head."): v for k, v in state.items() if k not in names}
    )
    image = torch.randn(1, 3, *SIZE).double()
    with torch.no_grad():
        logits = decoder.double().eval()(body(image))
        found = imported.model.double()(image)
    expected = F.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_a_whole_recorded_network(tmp_path):
    with safe_open(next(RECORDED.glob("*.safetensors")), "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["config"])
    state = {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")}
    colours = [[i, 2 * i, 3 * i] for i in range(5)]
    meta = {"CLASSES": list("abcde"), "PALETTE": colours, "config": f"model = {config!r}\n"}
    imported = import_checkpoint(write(tmp_path / "danet.pth", state, meta=meta))
    model = imported.model
    assert model.config.names == tuple("abcde")
    assert model.config.palette[2] == (2, 4, 6)
    assert model.config.output_stride == 8
    assert imported.tensors == len(state)
    with torch.no_grad():
        found = model.double()(tensors["input"].double())
    reference = tensors["output.resized"].double()
    assert (found - reference).abs().max() < 1e-6 * reference.abs().max()


@pytest.mark.parametrize("name", ["bisenetv2", "mmseg bisenetv2"])
def test_bisenetv2(name, tmp_path):
    """Its widths are fixed, so the network is built here by its own class."""
    theirs = {
        "bisenetv2": keys.bisenet(),
        "mmseg bisenetv2": files.PUBLISHED["bisenetv2"],
    }
    state = numbers(theirs[name])
    imported = import_checkpoint(write(tmp_path / "a.pth", state))
    assert imported.tensors == len(state)
    body, decoder = imported.model.backbone.body, imported.model.decoder
    assert len(decoder.auxiliary_weights) == 4
    for key, value in state.items():
        inner = key.removeprefix("backbone.")
        ours = body.reference_name(inner)
        part = body if ours is not None and ours in body.state_dict() else decoder
        found = part.state_dict()[part.reference_name(inner)]
        assert torch.equal(found, value.reshape(found.shape)), key


def test_several_scales_and_norms_without_counters(tmp_path):
    imported = import_checkpoint(write(tmp_path / "a.pth", numbers(keys.psa(scales=True))))
    assert imported.model.config.options["scales"] == (0.5, 1.0, 2.0)
    assert "several scales" in " ".join(imported.foreign.differences)
    shapes = keys.emanet(counter=False)
    imported = import_checkpoint(write(tmp_path / "b.pth", numbers(shapes)))
    assert imported.tensors > len(shapes)
    assert "22 norms count no batches" in " ".join(imported.foreign.differences)


def test_biases_before_norms_are_folded(tmp_path):
    shapes = keys.isanet(inplace=False, bias=True)
    state = numbers(shapes)
    model = import_checkpoint(write(tmp_path / "a.pth", state)).model
    norm = model.decoder.reduce[1]
    mean = state["isa_head.1.0.running_mean"] - state["isa_head.0.bias"]
    torch.testing.assert_close(norm.running_mean, mean)


def test_a_detectors_backbone_with_global_context(tmp_path):
    state = numbers(keys.gcnet())
    path = write(tmp_path / "a.pth", state)
    imported = import_checkpoint(path, classes=3)
    features = imported.model.backbone
    block = features.body.layer3[0].se
    start = "backbone.layer3.0.context_block."
    plain = create("gc", 128, hidden=32)
    plain.load_reference({k.removeprefix(start): v for k, v in state.items() if start in k})
    x = torch.randn(1, 128, 5, 7)
    assert torch.equal(block(x), plain.eval()(x))
    assert features.body.layer1[0].se is None
    assert imported.model(torch.randn(1, 3, 33, 40)).shape == (1, 3, 33, 40)
