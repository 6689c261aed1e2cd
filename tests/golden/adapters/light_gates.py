"""Adapters of gates that cost little: means, convolutions of a few taps, one number per group."""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.layers.base import AttentionLayer
from pixelwise.layers.registry import create
from pixelwise.ops.running import choice


def of_any_width(module: AttentionLayer, names: dict[str, str]) -> Subject:
    """A layer none of whose parameters depends on the channels, which the config does not tell."""

    def run(x: Tensor) -> Tensor:
        module.channels = x.shape[1]
        return module(x)

    return subject(module, lambda: theirs(module, names), run)


def simam(config: dict[str, Any]) -> Subject:
    return of_any_width(create("simam", 1, ease=config.get("e_lambda", 1e-4)), {})


def emsa(config: dict[str, Any]) -> Subject:
    module = create("emsa", config["channels"], groups=config.get("factor", 32))

    def shapes() -> Shapes:
        found = dict(theirs(module, {"mix": "conv1x1", "norm": "gn", "local": "conv3x3"}))
        found["conv1x1.weight"] = (*found["conv1x1.weight"], 1)  # 1x1, as the recipe counts axes
        return found

    return subject(module, shapes)


MMCV = {"Swish": "silu", "HSwish": "hard_swish", "LeakyReLU": "leaky_relu"}
"""Names of activations there -> here; the others are ours in lower case."""


def caa(config: dict[str, Any]) -> Subject:
    """The recorded output is the gate alone."""
    norm = config.get("norm_cfg", {"type": "BN", "momentum": 0.03, "eps": 1e-3})
    activation = (config.get("act_cfg", {"type": "SiLU"}) or {"type": "none"})["type"]
    module = create(
        "caa",
        config["channels"],
        kernel_size=(config.get("v_kernel_size", 11), config.get("h_kernel_size", 11)),
        norm=norm is not None,
        activation=MMCV.get(activation, activation.lower()),
    )
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum, part.eps = norm.get("momentum", 0.1), norm.get("eps", 1e-5)
    names = {
        "reduce.0": "conv1.conv",
        "reduce.1": "conv1.bn",
        "along_rows": "h_conv.conv",
        "along_columns": "v_conv.conv",
        "expand.0": "conv2.conv",
        "expand.1": "conv2.bn",
    }

    def run(x: Tensor) -> Tensor:
        return module.gate(x) if choice.forced_form("layer") == "plain" else module._gate(x)

    return subject(module, lambda: theirs(module, names), run)


def triplet(names: dict[str, str]) -> Adapter:
    """The system under its names of the three gates; widths in the config are without effect."""

    def adapter(config: dict[str, Any]) -> Subject:
        module = create("triplet", 1, spatial=not config.get("no_spatial", False))
        found = {}
        for ours, gate in names.items():
            found |= {f"{ours}.score": f"{gate}.conv", f"{ours}.norm": f"{gate}.bn"}
        return of_any_width(module, found)

    return adapter


NEW = {"of_columns": "cw.conv", "of_rows": "hc.conv", "of_pixels": "hw.conv"}
OLD = {
    "of_columns": "ChannelGateH.spatial",
    "of_rows": "ChannelGateW.spatial",
    "of_pixels": "SpatialGate.spatial",
}


def sge(default: int) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        groups = config.get("groups", default)
        subject = of_any_width(create("sge", groups, groups=groups), {})
        shape = (1, groups, 1, 1)
        return replace(subject, shapes=lambda: {"weight": shape, "bias": shape})

    return adapter


def rounded(width: float, divisor: int, least_share: float) -> int:
    """The next multiple of a divisor, as timm takes it."""
    found = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return found + divisor if found < least_share * width else found


def coord(config: dict[str, Any]) -> Subject:
    channels, divisor = config["channels"], config.get("rd_divisor", 8)
    ratio = config.get("rd_ratio", 1 / 16) * config.get("se_factor", 2 / 3)
    norm = config.get("norm_layer", "BatchNorm2d")
    module = create(
        "coord",
        channels,
        hidden=config.get("rd_channels") or rounded(channels * ratio, divisor, 0.0),
        bias=config.get("bias", False),
        norm=norm is not None,
        gate=GATES[config.get("gate_layer", "sigmoid").lower().replace("_", "")],
        skip=config.get("has_skip", False),
    )
    names = {"reduce": "conv1", "norm": "bn1", "expand_rows": "conv_h", "expand_columns": "conv_w"}

    def shapes() -> Shapes:
        found = theirs(module, names)
        return {k: (*v, 1) if len(v) == 3 else v for k, v in found.items()}

    return subject(module, shapes)


GATES = {"sigmoid": "sigmoid", "hardsigmoid": "hard_sigmoid"}


def scoord(config: dict[str, Any]) -> Subject:
    channels, divisor = config["channels"], config.get("rd_divisor", 8)
    ratio = config.get("rd_ratio", 0.25) * config.get("se_factor", 2 / 3)
    module = create(
        "scoord",
        channels,
        hidden=config.get("rd_channels") or rounded(channels * ratio, divisor, 0.0),
        bias=config.get("bias", True),
        gate=GATES[config.get("gate_layer", "sigmoid").lower().replace("_", "")],
        skip=config.get("has_skip", False),
    )
    names = {"reduce": "fc1", "expand_rows": "fc_h", "expand_columns": "fc_w"}
    return subject(module, lambda: theirs(module, names))


ADAPTERS: dict[str, Adapter] = {
    "simam@author": simam,
    "ema@author": emsa,
    "caa@author": caa,
    "triplet@author": triplet(NEW),
    "triplet@author_models": triplet(OLD),
    "sge@author": sge(64),
    "sge@xmu": sge(8),
    "coord@timm": coord,
    "scoord@timm": scoord,
}
