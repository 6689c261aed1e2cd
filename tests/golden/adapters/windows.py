"""Adapters of attention to windows, neighbours and sampled places."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from adapters.subject import Adapter, Subject, subject, theirs
from pixelwise.layers.registry import create


def pixels_first(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """The authors' maps have their channels last."""
    return lambda x: layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def either(value: Any) -> Any:
    """One value for both axes, or a pair, which JSON has as a list."""
    return tuple(value) if isinstance(value, list) else value


def natten(config: dict[str, Any]) -> Subject:
    layer = create(
        "natten",
        config["embed_dim"],
        heads=config["num_heads"],
        kernel_size=either(config["kernel_size"]),
        stride=either(config.get("stride", 1)),
        dilation=either(config.get("dilation", 1)),
        causal=either(config.get("is_causal", False)),
        bias=config.get("qkv_bias", True),
        scale=config.get("qk_scale"),
    )
    names = {"project": "qkv", "expand": "proj"}
    return subject(layer, lambda: theirs(layer, names), pixels_first(layer))


def msda(config: dict[str, Any]) -> Subject:
    layer = create(
        "msda",
        config["dim"],
        heads=config.get("num_heads", 8),
        kernel_size=config.get("kernel_size", 3),
        dilations=config.get("dilation", [1, 2, 3]),
        bias=config.get("qkv_bias", False),
        scale=config.get("qk_scale"),
    )
    names = {"project": "qkv", "expand": "proj"}
    return subject(layer, lambda: theirs(layer, names), pixels_first(layer))


def bra(config: dict[str, Any]) -> Subject:
    layer = create(
        "biformer",
        config["dim"],
        heads=config.get("num_heads", 8),
        regions=config.get("n_win", 7),
        chosen=config.get("topk", 4),
        local_kernel=config.get("side_dwconv", 3),
        scale=config.get("qk_scale"),
    )
    names = {"project": "qkv_linear", "expand": "output_linear", "local": "lepe"}
    return subject(layer, lambda: theirs(layer, names))


def position(config: dict[str, Any]) -> str:
    """The authors' switches, the first of which that is on counts."""
    if not config.get("use_pe", True):
        return "none"
    kinds = {"dwc_pe": "convolution", "fixed_pe": "fixed", "log_cpb": "network"}
    return next((ours for switch, ours in kinds.items() if config.get(switch)), "table")


def dat(config: dict[str, Any]) -> Subject:
    """The authors' layer returns the samples' places too, and where they lie by themselves."""
    layer = create(
        "dat",
        config["n_heads"] * config["n_head_channels"],
        heads=config["n_heads"],
        groups=config["n_groups"],
        stride=config["stride"],
        kernel_size=config.get("ksize", 9),
        reach=config["offset_range_factor"],
        moved=not config.get("no_off", False),
        position=position(config),
        size=tuple(config["q_size"]),
    )

    def run(x: Tensor) -> tuple[Tensor, ...]:
        places = layer.places(layer.query(x))
        still = layer.places.by_themselves(x, places.dtype)
        return layer(x), places, still.expand_as(places)

    return subject(layer, run=run)


ADAPTERS: dict[str, Adapter] = {
    "neighborhood_attention2d@natten": natten,
    "msda@author": msda,
    "bra@author": bra,
    "dat@author": dat,
}
