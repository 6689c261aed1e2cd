"""Adapters of BiSeNetV2, its parts and its loss."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.losses import loss_for
from pixelwise.networks.backbones.bisenetv2 import WIDTHS, BiSeNetV2Body, Context, Expansion, Stem
from pixelwise.networks.decoders.bisenetv2 import STAGES, Aggregation, SegmentHead
from pixelwise.networks.factory import create_model

AUXILIARY = dict(zip(STAGES, ("aux2", "aux3", "aux4", "aux5_4"), strict=True))


def blocks(names: Mapping[str, str]) -> dict[str, str]:
    """Parts 0 and 1 of ours -> `conv` and `bn` of theirs."""
    parts = {"0": "conv", "1": "bn"}
    return {f"{o}.{i}": f"{t}.{part}" for o, t in names.items() for i, part in parts.items()}


STEM = blocks({"halve": "conv", "convolve.0": "left.0", "convolve.1": "left.1", "fuse": "fuse"})
CONTEXT = {"norm": "bn", **blocks({"transform": "conv_gap", "spread": "conv_last"})}
AGGREGATION = {
    "detail": "left1",
    "detail_pooled": "left2",
    "semantic": "right1",
    "semantic_gate": "right2",
    "merge": "conv",
}
HEAD = {**blocks({"first": "conv", "second": "conv_out.0.1"}), "classify": "conv_out.1"}


def expansion_names(stride: int) -> dict[str, str]:
    names = {**blocks({"gather": "conv1"}), "project": "conv2", "shortcut": "shortcut"}
    if stride == 1:
        return names | {"expand.0": "dwconv"}
    return names | {"expand.0": "dwconv1", "expand.1": "dwconv2"}


def stem(config: dict[str, Any]) -> Subject:
    module = Stem()
    return subject(module, lambda: theirs(module, STEM))


def context(config: dict[str, Any]) -> Subject:
    module = Context()
    return subject(module, lambda: theirs(module, CONTEXT))


def expansion(config: dict[str, Any]) -> Subject:
    """The authors' two classes differ in their stride, which no argument tells; widths do."""
    channels, outputs = config["in_chan"], config["out_chan"]
    stride = 1 if channels == outputs else 2
    options = {"stride": stride, "expansion": config.get("exp_ratio", 6)}
    module = Expansion(channels, outputs, **options)
    return subject(module, lambda: theirs(module, expansion_names(stride)))


def aggregation(config: dict[str, Any]) -> Subject:
    module = Aggregation(WIDTHS[1])
    return subject(module, lambda: theirs(module, AGGREGATION))


def head(config: dict[str, Any]) -> Subject:
    factor, auxiliary = config.get("up_factor", 8), config.get("aux", True)
    module = SegmentHead(
        config["in_chan"],
        config["n_classes"],
        width=config["mid_chan"],
        inner=factor**2 if auxiliary else None,
        doubled=auxiliary,
    )

    def run(x: Tensor) -> Tensor:
        scale = factor // 2 if auxiliary else factor
        return F.interpolate(module(x), scale_factor=scale, mode="bilinear")

    return subject(module, lambda: theirs(module, HEAD), run)


def body_shapes(body: BiSeNetV2Body) -> Shapes:
    names = {}
    for stage, blocks_in in (("S1", range(2)), ("S2", range(2, 5)), ("S3", range(5, 8))):
        start = blocks_in.start
        names |= blocks({f"detail.{i}": f"detail.{stage}.{i - start}" for i in blocks_in})
    parts = [("stem", "S1S2", STEM), ("context", "S5_5", CONTEXT)]
    for ours, stage, count in (("stage3", "S3", 2), ("stage4", "S4", 2), ("stage5", "S5_4", 4)):
        parts += [
            (f"{ours}.{i}", f"{stage}.{i}", expansion_names(1 if i else 2)) for i in range(count)
        ]
    for ours, part, inside in parts:
        names |= {f"{ours}.{o}": f"segment.{part}.{t}" for o, t in inside.items()}
    return theirs(body, names)


def network(config: dict[str, Any]) -> Subject:
    mode = config.get("aux_mode", "train")
    model = create_model("bisenetv2", num_classes=config["n_classes"], auxiliary=mode == "train")

    def run(image: Tensor) -> tuple[Tensor, ...]:
        outputs = model.with_auxiliary(image)
        if mode == "pred":
            return (model.answer(outputs.logits),)
        return outputs.logits, *outputs.auxiliary.values()

    def shapes() -> Shapes:
        parts = [("aggregate", "bga", AGGREGATION), ("head", "head", HEAD)]
        if mode == "train":
            parts += [(f"stages.{ours}", aux, HEAD) for ours, aux in AUXILIARY.items()]
        names = {f"{p}.{o}": f"{t}.{i}" for p, t, inside in parts for o, i in inside.items()}
        return {**body_shapes(model.backbone.body), **theirs(model.decoder, names)}

    return subject(model, shapes, run)


def ohem(config: dict[str, Any]) -> Subject:
    loss = loss_for(
        "multiclass",
        loss=f"ohem(threshold={config['thresh']})",
        ignore_index=config.get("lb_ignore", 255),
    )

    def load(state: Mapping[str, Tensor]) -> None:
        assert not state, "the loss has no weights"

    def own(key: str) -> Tensor:
        raise KeyError(key)

    return Subject(nn.Identity(), load, own, dict, lambda *inputs: loss(*inputs)[None])


ADAPTERS: dict[str, Adapter] = {
    "bisenetv2@CoinCheung": network,
    "bisenetv2_stem@CoinCheung": stem,
    "bisenetv2_ge@CoinCheung": expansion,
    "bisenetv2_ce@CoinCheung": context,
    "bisenetv2_bga@CoinCheung": aggregation,
    "bisenetv2_head@CoinCheung": head,
    "ohem_ce@CoinCheung": ohem,
}
