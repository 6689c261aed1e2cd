"""Adapters of selective kernels, alone and in the bottleneck of their author."""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from adapters.light_gates import rounded
from adapters.subject import Adapter, Shapes, Subject, by_weights, subject, theirs
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.registry import create


def sk_timm(config: dict[str, Any]) -> Subject:
    channels = config["in_channels"]
    outputs = config.get("out_channels") or channels
    sides = config.get("kernel_size") or [3, 5]
    sides = sides if isinstance(sides, list) else [sides] * 2
    divisor, ratio = config.get("rd_divisor", 8), config.get("rd_ratio", 1 / 16)
    module = create(
        "sk",
        channels,
        out_channels=outputs,
        kernel_sizes=tuple(sides),
        dilate=config.get("keep_3x3", True),
        stride=config.get("stride", 1),
        dilation=config.get("dilation", 1),
        groups=min(outputs, config.get("groups", 1)),
        split=config.get("split_input", True),
        hidden=config.get("rd_channels") or rounded(outputs * ratio, divisor, 0.9),
        activation=ACTIVATIONS.get(config.get("act_layer", "relu").lower(), "relu"),
    )

    def shapes() -> Shapes:
        parts = {"reduce": "attn.fc_reduce", "norm": "attn.bn", "select": "attn.fc_select"}
        for i in range(len(sides)):
            parts |= {f"branches.{i}.0": f"paths.{i}.conv", f"branches.{i}.1": f"paths.{i}.bn"}
        found = theirs(module, parts)
        linear = {k: (*v, 1, 1) for k, v in found.items() if k.startswith("attn.fc")}
        return {**found, **linear}

    return subject(module, shapes)


ACTIVATIONS = {"relu": "relu", "silu": "silu", "gelu": "gelu", "hardswish": "hard_swish"}


def sk_xmu(config: dict[str, Any]) -> Subject:
    """The authors' linear map of each branch is a part of ours."""
    channels, sides = config.get("channel", 512), config.get("kernels", [1, 3, 5, 7])
    module = create(
        "sk",
        channels,
        kernel_sizes=tuple(sides),
        dilate=False,
        groups=config.get("group", 1),
        hidden=max(config.get("L", 32), channels // config.get("reduction", 16)),
        bias=True,
        squeeze_norm=False,
    )
    plain = subject(module)

    def own(key: str) -> Tensor:
        name, branch, part = [*key.split("."), "", ""][:3]
        if name != "fcs":
            return plain.own(key)
        whole = getattr(module.select, part)
        piece = slice(int(branch) * channels, (int(branch) + 1) * channels)
        found = whole.detach()[piece]
        found.grad = whole.grad[piece]
        return found

    def shapes() -> Shapes:
        parts = {"reduce": "fc", "select": "fcs"}
        for i in range(len(sides)):
            parts |= {f"branches.{i}.0": f"convs.{i}.conv", f"branches.{i}.1": f"convs.{i}.bn"}
        found = dict(theirs(module, parts))
        for part in ("weight", "bias"):
            whole = found.pop(f"fcs.{part}")
            found |= {f"fcs.{i}.{part}": (channels, *whole[1:]) for i in range(len(sides))}
        return found

    return replace(plain, own=own, shapes=shapes)


class Bottleneck(ReferenceWeights):
    """The residual block whose middle is the layer, as the paper's author has it."""

    def __init__(self, inputs: int, width: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.middle = create(
            "sk", width, kernel_sizes=(3, 3), groups=(1, 32), hidden=width // 16, stride=stride
        )
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if shortcut:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.middle(self.bn1(self.conv1(x)).relu())
        shortcut = x if self.downsample is None else self.downsample(x)
        return (self.bn3(self.conv3(inner)) + shortcut).relu()

    def reference_name(self, key: str) -> str | None:
        if key.startswith(("conv1.", "bn1.", "conv3.", "bn3.", "downsample.")):
            return key
        name = self.middle.reference_name(key)
        return None if name is None else f"middle.{name}"


def sk_bottleneck(config: dict[str, Any]) -> Subject:
    inputs, width, stride = config["inplanes"], config["planes"], config.get("stride", 1)
    shortcut = bool(config.get("downsample")) or stride != 1 or inputs != 4 * width
    names = {n: n for n in ("conv1", "bn1", "conv3", "bn3", "downsample")}
    names |= {"middle.branches.0.0": "conv2", "middle.branches.0.1": "bn2"}
    names |= {"middle.branches.1.0": "conv2g", "middle.branches.1.1": "bn2g"}
    names |= {"middle.reduce": "conv_fc1", "middle.norm": "bn_fc1", "middle.select": "conv_fc2"}

    def shapes(module: ReferenceWeights) -> Shapes:
        found = theirs(module, names)
        return {k: (*v, 1, 1) if k.startswith("conv_fc") else v for k, v in found.items()}

    def build(known: Shapes) -> ReferenceWeights:
        given = "downsample.0.weight" in known if known else shortcut
        return Bottleneck(inputs, width, stride, given)

    return by_weights(build, shapes)


ADAPTERS: dict[str, Adapter] = {
    "sk@timm": sk_timm,
    "sk@xmu": sk_xmu,
    "sk_bottleneck@author": sk_bottleneck,
}
