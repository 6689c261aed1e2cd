"""Adapters of the layers that mix attention and convolution, or rearrange pixels."""

from typing import Any

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, by_weights, subject, theirs
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.registry import create
from pixelwise.networks.backbones.residual import convolve
from pixelwise.ops.deformable import deformable_convolution
from pixelwise.ops.space_to_depth import space_to_depth

ACMIX = {
    "query": "conv1",
    "keys": "conv2",
    "value": "conv3",
    "position": "conv_p",
    "position_bias": "conv_p.bias",
    "convolution.taps": "fc",
    "convolution.shift": "dep_conv",
    "attention_rate": "rate1",
    "convolution_rate": "rate2",
}


def pointwise(shapes: Shapes, *names: str) -> Shapes:
    """Matrices that the authors keep as 1x1 convolutions."""
    wide = {f"{name}.weight" for name in names}
    return {key: (*shape, 1, 1) if key in wide else shape for key, shape in shapes.items()}


def acmix(config: dict[str, Any]) -> Subject:
    assert config.get("kernel_conv", 3) == 3, "the authors' code runs with kernel_conv 3 only"
    assert config.get("dilation", 1) == 1, "the authors' code runs with dilation 1 only"
    layer = create(
        "acmix",
        config["in_planes"],
        out_channels=config["out_planes"],
        kernel_size=config.get("kernel_att", 7),
        heads=config.get("head", 4),
        stride=config.get("stride", 1),
    )

    def shapes() -> Shapes:
        return pointwise(theirs(layer, ACMIX), "conv1", "conv2", "conv3", "conv_p", "fc")

    return subject(layer, shapes)


def acmix_window(config: dict[str, Any]) -> Subject:
    """The authors' layer takes a map that is rolled already, and the mask for it, pixels first."""
    shift = config.get("shift_size", 0)
    layer = create(
        "acmix_window",
        config["dim"],
        window_size=pair(config["window_size"]),
        heads=config["num_heads"],
        shift=shift,
        bias=config.get("qkv_bias", True),
        scale=config.get("qk_scale"),
    )

    def run(x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            assert not shift, "a shifted window comes with a mask"
        else:
            assert torch.equal(layer.windows.apart(x.permute(0, 3, 1, 2)), mask)
        whole = x.permute(0, 3, 1, 2).roll((shift, shift), (2, 3))
        return layer(whole).roll((-shift, -shift), (2, 3)).permute(0, 2, 3, 1)

    names = {
        "project": "qkv",
        "expand": "proj",
        "position": "relative_position_bias_table",
        "convolution.taps": "fc",
        "convolution.shift": "dep_conv",
        "attention_rate": "rate1",
        "convolution_rate": "rate2",
    }
    return subject(layer, lambda: pointwise(theirs(layer, names), "fc"), run)


def deformable(config: dict[str, Any]) -> Subject:
    """Offsets and factors are inputs, so it is the operator that is checked."""
    geometry = {
        name: pair(config.get(name, 0 if name == "padding" else 1))
        for name in ("stride", "padding", "dilation")
    }
    kernel = pair(config["kernel_size"])
    holder = nn.Module()
    shape = config["out_channels"], config["in_channels"] // config.get("groups", 1), *kernel
    holder.weight = nn.Parameter(torch.empty(shape))
    holder.bias = nn.Parameter(torch.empty(shape[0])) if config.get("bias", True) else None

    def run(x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        return deformable_convolution(x, offset, holder.weight, holder.bias, mask, **geometry)

    return plain(holder, run)


def pair(value: int | list[int]) -> tuple[int, int]:
    rows, columns = (value, value) if isinstance(value, int) else value
    return rows, columns


def plain(module: nn.Module, run: Any = None) -> Subject:
    """A module whose parameters have the authors' names already."""

    def own(key: str) -> Tensor:
        return module.state_dict(keep_vars=True)[key]

    return Subject(module, module.load_state_dict, own, lambda: theirs(module, {"": ""}), run)


def dcn_pack(config: dict[str, Any]) -> Subject:
    layer = create(
        "deform",
        config["in_channels"],
        out_channels=config["out_channels"],
        kernel_size=pair(config["kernel_size"]),
        stride=pair(config.get("stride", 1)),
        padding=pair(config.get("padding", 0)),
        dilation=pair(config.get("dilation", 1)),
        groups=config.get("groups", 1),
        offset_groups=config.get("deform_groups", 1),
        bias=config.get("bias", True),
    )
    return subject(layer, lambda: theirs(layer, {"": "", "offset": "conv_offset"}))


class Rearrangement(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return space_to_depth(x, 2)


def spd(config: dict[str, Any]) -> Subject:
    return plain(Rearrangement())


def spd_conv(config: dict[str, Any]) -> Subject:
    assert config.get("s", 1) == 1, "SPD-Conv does not stride"
    layer = create("spd", config["c1"], kernel_size=config.get("k", 1), out_channels=config["c2"])
    names = {"conv": "conv.conv", "norm": "conv.bn"}
    return subject(layer, lambda: theirs(layer, names))


class Stage(ReferenceWeights):
    """A stage of one of timm's residual blocks, as a network's backbone has it.

    The authors' networks of 18 and 34 layers have blocks of two convolutions, the first of which
    is the one that strides elsewhere; those of 50 and more have three, and the second is.
    """

    def __init__(self, into: int, width: int, stride: int, *, basic: bool) -> None:
        super().__init__()
        kind: Any = BasicBlock if basic else Bottleneck
        outputs = width * kind.expansion
        shortcut = None
        if stride != 1 or into != outputs:
            conv = nn.Conv2d(into, outputs, 1, stride, bias=False)
            shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))
        self.layer2 = nn.Sequential(kind(into, width, stride, shortcut))
        strided = 1 if basic else 2
        if stride == 2:
            convolve(self, "a block", "2", "spd", {})
        place, steps = 0, {}
        for number in range(1, 3 if basic else 4):
            steps[f"conv{number}"] = place
            if stride == 2 and number == strided:
                steps[f"conv{number}.0"] = steps.pop(f"conv{number}")
                place += 1  # the rearrangement has a number in the authors' sequence
            steps[f"bn{number}"] = place + 1
            place += 3
        self.reference_keys = {
            f"residual_function.{i}": f"layer2.0.{name}" for name, i in steps.items()
        }
        self.reference_keys["shortcut"] = "layer2.0.downsample"

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(x)


def spd_resnet_block(config: dict[str, Any]) -> Subject:
    into, width, stride = config["in_channels"], config["out_channels"], config.get("stride", 1)

    def build(shapes: Shapes) -> Stage:
        first = shapes.get("residual_function.0.weight", (width, into, 1, 1))
        return Stage(into, width, stride, basic=first[2:] == (3, 3))

    def without(block: Stage) -> Shapes:
        return theirs(block, {ours: key for key, ours in block.reference_keys.items()})

    return by_weights(build, without)


def names_in(layer: nn.Module, variant: str) -> dict[str, str]:
    """Our names -> those of one of the two sources."""
    dotted = variant == "smp"
    keys = layer.reference_keys.items()
    found = {ours: key for key, ours in keys if (key.endswith((".conv", ".bn"))) == dotted}
    known = {name.rpartition(".")[0] for name in layer.state_dict()}
    return {ours: key for ours, key in found.items() if ours in known}


def fpa_smp(config: dict[str, Any]) -> Subject:
    assert config.get("upscale_mode", "bilinear") == "bilinear", "nearest raises in smp"
    layer = create("fpa", config["in_channels"], out_channels=config.get("out_channels", 32))
    return subject(layer, lambda: theirs(layer, names_in(layer, "smp")))


def fpa_javeywang(config: dict[str, Any]) -> Subject:
    layer = create("fpa", config["channels"], variant="javeywang")
    return subject(layer, lambda: theirs(layer, names_in(layer, "javeywang")))


def gau_smp(config: dict[str, Any]) -> Subject:
    layer = create(
        "gau",
        config["in_channels"],
        guide_channels=config["out_channels"],
        interpolation=config.get("interpolation_mode", config.get("upscale_mode", "bilinear")),
    )
    return subject(layer, lambda: theirs(layer, names_in(layer, "smp")))


def gau_javeywang(config: dict[str, Any]) -> Subject:
    upsample = config.get("upsample", True)
    layer = create(
        "gau",
        config["channels_low"],
        guide_channels=config["channels_high"],
        variant="javeywang",
        upsample=upsample,
    )

    def shapes() -> Shapes:
        names = names_in(layer, "javeywang")
        kind = "upsample" if upsample else "reduction"
        return theirs(layer, names | {"lift.0": f"conv_{kind}", "lift.1": f"bn_{kind}"})

    return subject(layer, shapes, lambda high, low: layer(low, high))


ADAPTERS: dict[str, Adapter] = {
    "acmix@author": acmix,
    "acmix_window@author": acmix_window,
    "deform_conv@torchvision": deformable,
    "dcnv2_pack@mmcv": dcn_pack,
    "spd@author": spd,
    "spd_conv@author": spd_conv,
    "spd_resnet_block@author": spd_resnet_block,
    "fpa@smp": fpa_smp,
    "fpa@JaveyWang": fpa_javeywang,
    "gau@smp": gau_smp,
    "gau@JaveyWang": gau_javeywang,
}

UNCOUNTED = {"spd_resnet_block@author"}
