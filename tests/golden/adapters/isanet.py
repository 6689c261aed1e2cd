"""Adapters of the interlaced sparse self-attention network and of its heads elsewhere."""

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adapters.networks import decoder_outputs
from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from adapters.tokens import activation, interlaced, known, layout, one
from pixelwise.networks.decoders.isanet import ISANet

WIDTHS = {"2048": 2048, "1024": 1024, "512": 512, "256": 256}


def widths(config: dict[str, Any]) -> dict[str, int]:
    """The authors' widths, and what the recording put in their place: "512->16, key 256->8"."""
    found = re.findall(r"(\d+)->(\d+)", str(config.get("channels", "")))
    return WIDTHS | {theirs: int(ours) for theirs, ours in found}


def isanet_head(config: dict[str, Any]) -> Subject:
    width = widths(config)
    factors = config.get("factors", [[8, 8]])
    decoder = ISANet(
        [width["1024"], width["2048"]],
        config["num_classes"],
        width=width["512"],
        key_width=width["256"],
        down_factors=factors,
        activation=activation(config),
    )
    found = layout(config, "nested")
    names = {
        **one("reduce", "isa_head", found),
        **one("attention.widen", "isa_head.2.up_conv", found),
        **one("attention.fusion", "isa_head.2.conv_bn", found),
        "classify": "cls_head",
        **one("auxiliary.layers", "dsn_head", found),
        "auxiliary.layers.4": "dsn_head.3",
    }
    for number in range(len(factors)):
        stage = f"stages.{number}."
        names |= interlaced(f"attention.{stage}", f"isa_head.2.{stage}", found)
    answer = decoder_outputs(decoder, ["stage3"])

    def run(*features: Tensor) -> tuple[Tensor, ...]:
        logits, auxiliary = answer(*features)
        size = config.get("image_hw") or [8 * side for side in features[-1].shape[2:]]
        return tuple(
            F.interpolate(y, size=tuple(size), mode="bilinear", align_corners=True)
            for y in (auxiliary, logits)
        )

    return known(decoder, names, found, run)


def article_head(config: dict[str, Any]) -> Subject:
    width = widths(config)
    decoder = ISANet(
        [width["2048"]],
        config["num_classes"],
        width=width["512"],
        key_width=width["256"],
        dropout=0.0,
        variant="article",
    )

    def shapes() -> Shapes:
        names = {
            **one("attention.fusion", "ISAHead.conv_bn", "flat"),
            **interlaced("attention.stages.0.", "ISAHead.stages.0.", "flat"),
            "convolve": "Conv_1",
            "classify": "cls_seg",
        }
        return theirs(decoder, names)

    return subject(decoder, shapes, lambda x: decoder([x]))


def mmseg_head(config: dict[str, Any]) -> Subject:
    assert config.get("norm_cfg"), "the heads of published networks all have norms"
    decoder = ISANet(
        [config["in_channels"]],
        config["num_classes"],
        width=config["channels"],
        key_width=config["isa_channels"],
        down_factors=[config.get("down_factor", [8, 8])],
        value_bias=True,
        dropout=max(config.get("dropout_ratio", 0.1), 0.0),
    )

    def shapes() -> Shapes:
        return theirs(decoder, mmseg_names())

    inner = subject(decoder, shapes)

    def own(key: str) -> Tensor:
        value = inner.own(key)
        if key != "out_conv.conv.weight":
            return value
        swapped = turned(value.detach())
        swapped.grad = None if value.grad is None else turned(value.grad)
        return swapped

    return Subject(decoder, decoder.load_reference, own, shapes, decoder_outputs(decoder, ()))


def turned(weight: Tensor) -> Tensor:
    """The weight of [x, context] as that of [context, x]."""
    first, second = weight.chunk(2, dim=1)
    return torch.cat([second, first], dim=1)


def mmseg_names() -> dict[str, str]:
    names = {"classify": "conv_seg"}
    pairs = {"reduce": "in_conv", "attention.fusion": "out_conv"}
    for ours, name in (("far", "global_relation"), ("near", "local_relation")):
        stage = f"attention.stages.0.{ours}"
        names[f"{stage}.value"] = f"{name}.value_project"
        pairs[f"{stage}.project"] = f"{name}.output_project"
        for part, kind in (("query", "query_project"), ("keys", "key_project")):
            pairs |= {f"{stage}.{part}.{i}": f"{name}.{kind}.{i}" for i in (0, 1)}
    for ours, name in pairs.items():
        names |= {f"{ours}.0": f"{name}.conv", f"{ours}.1": f"{name}.bn"}
    return names


ADAPTERS: dict[str, Adapter] = {
    "isanet_head@openseg": isanet_head,
    "isanet_head@seed001": article_head,
    "isa_head@mmseg": mmseg_head,
    "mmseg_isa": mmseg_head,
}
