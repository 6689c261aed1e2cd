"""Adapters of layers that mix tokens: along axes, in windows, and through contexts or agents."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from adapters.subject import Adapter, Subject, subject, theirs
from pixelwise.layers.registry import create


def axial(config: dict[str, Any]) -> Subject:
    """By default the authors' channels come last."""
    module = create(
        "axial",
        config["dim"],
        heads=config.get("heads", 8),
        head_width=config.get("dim_heads"),
        sequential=not config.get("sum_axial_out", True),
    )
    names = {
        f"{axis}.{ours}": f"axial_attentions.{number}.fn.{name}"
        for number, axis in enumerate(("columns", "rows"))
        for ours, name in {"query": "to_q", "keys_values": "to_kv", "project": "to_out"}.items()
    }

    def run(x: Tensor) -> Tensor:
        if config.get("dim_index", -1) in (1, -3):
            return module(x)
        return module(x.movedim(3, 1)).movedim(1, 3)

    return subject(module, lambda: theirs(module, names), run)


def focal(config: dict[str, Any]) -> Subject:
    """The authors' channels come last."""
    module = create(
        "focal",
        config["dim"],
        window=config["focal_window"],
        levels=config["focal_level"],
        growth=config.get("focal_factor", 2),
        bias=config.get("bias", True),
        norm=config.get("use_postln_in_modulation", False),
        normalise=config.get("normalize_modulator", False),
        dropout=config.get("proj_drop", 0.0),
    )
    names = {
        "project": "f",
        "contexts": "focal_layers",
        "modulate": "h",
        "norm": "ln",
        "expand": "proj",
    }

    def run(x: Tensor) -> Tensor:
        return module(x.movedim(3, 1)).movedim(1, 3)

    return subject(module, lambda: theirs(module, names), run)


AGENT = {
    "query": "q",
    "keys_values": "kv",
    "reduce": "sr",
    "norm": "norm",
    "local": "dwc",
    "expand": "proj",
    "gather.table": "an_bias",
    "gather.rows": "ah_bias",
    "gather.columns": "aw_bias",
    "ask.table": "na_bias",
    "ask.rows": "ha_bias",
    "ask.columns": "wa_bias",
}
"""Our names -> the authors' in PVT."""


def agent(config: dict[str, Any], side: int, bias: bool) -> Subject:
    """On the tokens of a square map."""
    module = create(
        "agent",
        config["dim"],
        heads=config.get("num_heads", 8),
        agents=config.get("agent_num", 49),
        size=side,
        reduction=config.get("sr_ratio", 1),
        bias=config.get("qkv_bias", bias),
    )

    def run(tokens: Tensor) -> Tensor:
        return module(tokens.mT.unflatten(2, (side, -1))).flatten(2).mT

    return subject(module, lambda: theirs(module, AGENT), run)


def agent_pvt(config: dict[str, Any]) -> Subject:
    return agent(config, math.isqrt(config["num_patches"]), bias=False)


def agent_swin(config: dict[str, Any]) -> Subject:
    """The authors' one projection is two here."""
    found = agent(config, config["window_size"][0], bias=True)

    def own(key: str) -> Tensor:
        if not key.startswith("qkv."):
            return found.own(key)
        parts = [found.own(key.replace("qkv", name)) for name in ("q", "kv")]
        joint = torch.cat([part.detach() for part in parts])
        joint.grad = torch.cat([part.grad for part in parts])
        return joint

    def shapes() -> dict[str, tuple[int, ...]]:
        keys = dict(found.shapes())
        for part in ("weight", "bias") if "q.bias" in keys else ("weight",):
            rows, *rest = keys.pop(f"q.{part}")
            keys[f"qkv.{part}"] = (rows + keys.pop(f"kv.{part}")[0], *rest)
        return keys

    return replace(found, own=own, shapes=shapes)


def cascaded(config: dict[str, Any], window: int, prefix: str = "") -> Subject:
    """The width of values is that of a head's channels, or the authors' cascade does not add up."""
    heads = config.get("num_heads", 8)
    module = create(
        "cga",
        config["dim"],
        heads=heads,
        key_width=config["key_dim"],
        kernels=tuple(config.get("kernels", (5, 5, 5, 5))[:heads]),
        window_size=window,
    )
    names = {"distance": "attention_biases", "expand.0": "proj.1.c", "expand.1": "proj.1.bn"}
    for head in range(heads):
        for ours, name in (("project", "qkvs"), ("local", "dws")):
            names[f"{ours}.{head}.0"] = f"{name}.{head}.c"
            names[f"{ours}.{head}.1"] = f"{name}.{head}.bn"
    return subject(
        module, lambda: {prefix + key: shape for key, shape in theirs(module, names).items()}
    )


def cascaded_group(config: dict[str, Any]) -> Subject:
    """One window: the whole map."""
    return cascaded(config, config.get("resolution", 14))


def local_window(config: dict[str, Any]) -> Subject:
    window = min(config.get("window_resolution", 7), config.get("resolution", 14))
    return cascaded(config, window, "attn.")


ADAPTERS: dict[str, Adapter] = {
    "agent_attention@author_pvt": agent_pvt,
    "agent_attention@author_swin": agent_swin,
    "axial_attention@xmu": axial,
    "cascaded_group_attention@author": cascaded_group,
    "focal_modulation@author": focal,
    "local_window_attention@author": local_window,
}
