"""Adapters of layers that compare pixels pairwise."""

from typing import Any

from adapters.subject import Adapter, Shapes, Subject, subject
from pixelwise.layers.registry import create


def conv(name: str, out: int, into: int, bias: bool = True) -> Shapes:
    weight = {f"{name}.weight": (out, into, 1, 1)}
    return weight | ({f"{name}.bias": (out,)} if bias else {})


def width(channels: int, config: dict[str, Any]) -> int:
    return max(channels // config.get("reduction", 2), 1)


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
    known = ("mode", "use_scale", "sub_sample")
    options = {name: config[name] for name in known if name in config}
    if "zeros_init" in config:
        options["zero_start"] = config["zeros_init"]
    norm = config.get("norm_cfg") is not None
    layer = create("nonlocal", channels, hidden=width(channels, config), norm=norm, **options)
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


ADAPTERS: dict[str, Adapter] = {
    "nonlocal2d@mmcv": nonlocal2d,
    "criss_cross@author": criss_cross,
    "criss_cross@mmcv": criss_cross_mmcv,
}
