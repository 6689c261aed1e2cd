"""Adapters of layers that compare pixels pairwise, and of the heads that hold them."""

from typing import Any

import torch
from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.layers.base import Layer
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.registry import create


def conv(name: str, out: int, into: int, bias: bool = True) -> Shapes:
    weight = {f"{name}.weight": (out, into, 1, 1)}
    return weight | ({f"{name}.bias": (out,)} if bias else {})


def width(channels: int, config: dict[str, Any]) -> int:
    return max(channels // config.get("reduction", 2), 1)


def non_local(key: str, channels: int, config: dict[str, Any]) -> Layer:
    known = ("mode", "use_scale", "sub_sample", "temperature")
    options = {name: config[name] for name in known if name in config}
    if "zeros_init" in config:
        options["zero_start"] = config["zeros_init"]
    norm = config.get("norm_cfg") is not None
    return create(key, channels, hidden=width(channels, config), norm=norm, **options)


def non_local_shapes(key: str, channels: int, config: dict[str, Any]) -> Shapes:
    narrow, norm = width(channels, config), config.get("norm_cfg") is not None
    mode = config.get("mode", "embedded_gaussian")
    middle = ".0" if config.get("sub_sample") else ""
    keys = {**conv(f"g{middle}.conv", narrow, channels)}
    if mode != "gaussian":
        keys |= conv("theta.conv", narrow, channels) | conv(f"phi{middle}.conv", narrow, channels)
    if mode == "concatenation":
        keys |= conv("concat_project.conv", 1, 2 * narrow, bias=False)
    keys |= conv("conv_out.conv", channels, narrow, bias=not norm)
    if norm:
        parts = ("weight", "bias", "running_mean", "running_var")
        keys |= {f"conv_out.bn.{part}": (channels,) for part in parts}
        keys["conv_out.bn.num_batches_tracked"] = ()
    return keys | (conv("conv_mask", 1, channels) if key == "dnl" else {})


def nonlocal2d(config: dict[str, Any]) -> Subject:
    channels = config["in_channels"]
    layer = non_local("nonlocal", channels, config)
    return subject(layer, lambda: non_local_shapes("nonlocal", channels, config))


def criss_cross_shapes(channels: int, gamma: str, *shape: int) -> Shapes:
    narrow = channels // 8
    keys = {**conv("query_conv", narrow, channels), **conv("key_conv", narrow, channels)}
    return keys | conv("value_conv", channels, channels) | {gamma: shape}


def criss_cross(config: dict[str, Any]) -> Subject:
    channels = config["in_dim"]
    layer = create("crisscross", channels, recurrence=1)
    return subject(layer, lambda: criss_cross_shapes(channels, "gamma", 1))


def criss_cross_mmcv(config: dict[str, Any]) -> Subject:
    channels = config["in_channels"]
    layer = create("crisscross", channels, recurrence=1)
    return subject(layer, lambda: criss_cross_shapes(channels, "gamma.scale"))


class Head(ReferenceWeights):
    """mmsegmentation's frame for one layer: convolution, layer, convolution, classes."""

    def __init__(self, block: str, layer: Layer, config: dict[str, Any]) -> None:
        super().__init__()
        channels, into = config["channels"], config["in_channels"]
        norm = config.get("norm_cfg") is not None
        self.before = self.step(into, channels, norm)
        self.layer = layer
        self.after = self.step(channels, channels, norm)
        concat = config.get("concat_input", True)
        self.joined = self.step(into + channels, channels, norm) if concat else None
        self.classes = nn.Conv2d(channels, config["num_classes"], 1)
        self.reference_keys = {block: "layer", "conv_seg": "classes"}
        for name, ours in {"convs.0": "before", "convs.1": "after", "conv_cat": "joined"}.items():
            self.reference_keys |= {f"{name}.conv": f"{ours}.0", f"{name}.bn": f"{ours}.1"}

    @staticmethod
    def step(into: int, channels: int, norm: bool) -> nn.Sequential:
        parts = [nn.Conv2d(into, channels, 3, padding=1, bias=not norm)]
        return nn.Sequential(*parts, *([nn.BatchNorm2d(channels)] if norm else []), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y = self.after(self.layer(self.before(x)))
        return self.classes(y if self.joined is None else self.joined(torch.cat([x, y], 1)))


def head(block: str, layer: Layer, inner: Shapes, config: dict[str, Any]) -> Subject:
    module = Head(block, layer, config)

    def shapes() -> Shapes:
        names = {ours: name for name, ours in module.reference_keys.items()}
        around = theirs(module, names)
        kept = {key: shape for key, shape in around.items() if not key.startswith(block + ".")}
        return kept | {f"{block}.{key}": shape for key, shape in inner.items()}

    return subject(module, shapes)


def non_local_head(key: str, block: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        channels = config["channels"]
        inner = non_local_shapes(key, channels, config)
        return head(block, non_local(key, channels, config), inner, config)

    return adapter


def global_context_head(config: dict[str, Any]) -> Subject:
    channels = config["channels"]
    hidden = int(channels * config.get("ratio", 1 / 4))
    pooling, kinds = config.get("pooling_type", "att"), config.get("fusion_types", ["channel_add"])
    fusions = tuple(kind.removeprefix("channel_") for kind in kinds)
    inner: dict[str, tuple[int, ...]] = {}
    if pooling == "att":
        inner |= conv("conv_mask", 1, channels)
    for kind in kinds:
        inner |= conv(f"{kind}_conv.0", hidden, channels)
        inner |= dict.fromkeys((f"{kind}_conv.1.weight", f"{kind}_conv.1.bias"), (hidden, 1, 1))
        inner |= conv(f"{kind}_conv.3", channels, hidden)
    layer = create("gc", channels, hidden=hidden, pooling=pooling, fusions=fusions)
    return head("gc_block", layer, inner, config)


def criss_cross_head(config: dict[str, Any]) -> Subject:
    channels = config["channels"]
    layer = create("crisscross", channels, recurrence=config.get("recurrence", 2))
    return head("cca", layer, criss_cross_shapes(channels, "gamma.scale"), config)


ADAPTERS: dict[str, Adapter] = {
    "nonlocal2d@mmcv": nonlocal2d,
    "criss_cross@author": criss_cross,
    "criss_cross@mmcv": criss_cross_mmcv,
    "mmseg_nl": non_local_head("nonlocal", "nl_block"),
    "mmseg_dnl": non_local_head("dnl", "dnl_block"),
    "mmseg_gc": global_context_head,
    "mmseg_cc": criss_cross_head,
}
