"""Adapters of EMANet: its head, mmsegmentation's, and the whole network."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adapters.subject import Adapter, Shapes, Subject, theirs
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.networks.decoders.emanet import EMANet
from pixelwise.networks.factory import create_model

HEAD = {
    "reduce.0": "fc0.conv",
    "reduce.1": "fc0.bn",
    "attention.bases": "emau.mu",
    "attention.project": "emau.conv1",
    "attention.expand": "emau.conv2",
    "expand.0": "fc1.0.conv",
    "expand.1": "fc1.0.bn",
    "classify.1": "fc2",
}
"""Our names -> the authors'."""

STEM = {f"extractor.0.{i}": f"pretrained.conv1.{i}" for i in (0, 1, 3, 4, 6)}
BACKBONE = STEM | {f"extractor.{i + 3}": f"pretrained.layer{i}" for i in (1, 2, 3, 4)}
BACKBONE["extractor.1"] = "pretrained.bn1"
"""The authors' names -> those of a checkpoint whose backbone is torchvision's."""

MULTI_GRID = {8: (2, 8, 16), 16: (1, 4, 8)}
"""Dilations of the last stage: 1, 2, 4 times that of the stride, and half of it in the first."""
MOMENTUM = 3e-4
"""Of the authors' batch norms."""


def steady(
    module: ReferenceWeights, shapes: Any = dict, run: Any = None, names: Any = None
) -> Subject:
    """A module whose projection never learns: its gradient is recorded as zeros.

    `names` are the authors' names of the backbone -> torchvision's.
    """
    found = renamed(module, names or {}, shapes, run)

    def own(key: str) -> Tensor:
        value = found.own(key)
        if key.endswith(("conv1.weight", "conv1.bias")) and not value.requires_grad:
            value.grad = torch.zeros_like(value)
        return value

    return replace(found, own=own)


def renamed(
    module: ReferenceWeights, names: Mapping[str, str], shapes: Any = dict, run: Any = None
) -> Subject:
    """A module that knows the authors' names but for these."""

    def name(key: str) -> str:
        known = next((theirs for theirs in names if key.startswith(theirs + ".")), "")
        return names.get(known, "") + key.removeprefix(known)

    def load(state: Mapping[str, Tensor]) -> None:
        module.load_reference({name(key): value for key, value in state.items()})

    def own(key: str) -> Tensor:
        return module.state_dict(keep_vars=True)[module.reference_name(name(key))]

    return Subject(module, load, own, shapes, run)


def their_shapes(module: ReferenceWeights, names: dict[str, str]) -> Shapes:
    """As the authors have them: bases of one image, and a projection that is a convolution."""
    keys = theirs(module, names)
    more = {"emau.mu": (1,), "emau.conv1.weight": ()}
    after = {"emau.mu": (), "emau.conv1.weight": (1, 1)}
    return {k: (*more.get(k, ()), *shape, *after.get(k, ())) for k, shape in keys.items()}


def ema_head(config: dict[str, Any]) -> Subject:
    decoder = EMANet(
        [config.get("in_channels", 2048)],
        config["n_classes"],
        width=config.get("mid", 256),
        attention_width=config.get("c", 512),
        bases=config.get("k", 64),
        steps=config.get("stage_num", 3),
        norm_momentum=MOMENTUM,
    )

    def run(x: Tensor) -> Tensor:
        size = config.get("out_size")
        logits = decoder([x])
        if size is None:
            return logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=decoder.align_corners)

    return steady(decoder, lambda: their_shapes(decoder, HEAD), run)


def mmseg_ema(config: dict[str, Any]) -> Subject:
    decoder = EMANet(
        [config["in_channels"]],
        config["num_classes"],
        width=config["channels"],
        attention_width=config["ema_channels"],
        bases=config["num_bases"],
        steps=config["num_stages"],
        momentum=1 - config.get("momentum", 0.1),
        variant="mmsegmentation",
        concatenate=config.get("concat_input", True),
    )
    return steady(decoder, run=lambda x: decoder([x]))


def emanet_full(config: dict[str, Any]) -> Subject:
    settings = config.get("settings", {})
    stride = settings.get("STRIDE", 8)
    model = create_model(
        "emanet",
        f"resnet{config.get('n_layers', 101)}s",
        num_classes=config["n_classes"],
        output_stride=stride,
        steps=settings.get("STAGE_NUM", 3),
        multi_grid=MULTI_GRID[stride],
    )
    ours = {name: f"decoder.{part}" for part, name in HEAD.items()}
    ours |= {name: part.replace("pretrained", "backbone.body") for name, part in BACKBONE.items()}
    back = {part: name for name, part in ours.items()}
    return steady(model, lambda: their_shapes(model, back), names=BACKBONE)


ADAPTERS: dict[str, Adapter] = {
    "ema_head@author": ema_head,
    "emanet_full@author": emanet_full,
    "mmseg_ema": mmseg_ema,
}
