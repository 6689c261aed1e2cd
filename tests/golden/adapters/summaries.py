"""Adapters of layers that summarise an image: by bases, by codewords, by masks of every pixel."""

from typing import Any

import torch
from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.layers.context_encoding import Encoding
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.registry import create
from pixelwise.ops.running import choice
from pixelwise.ops.skewed_mask import expand_mask

DIRECTIONS = ("collect", "distribute", "both")


def emau(config: dict[str, Any]) -> Subject:
    channels, count = config["c"], config.get("k", 64)
    layer = create("ema", channels, bases=count, steps=config.get("stage_num", 3))

    def shapes() -> Shapes:
        keys = theirs(layer, {"bases": "mu", "project": "conv1", "expand": "conv2"})
        return {
            **keys,
            "mu": (1, channels, count),
            "conv1.weight": (channels, channels, 1, 1),
        }

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        bases = layer.fit(x)[1]  # before they move
        return layer(x), bases

    def own(key: str) -> Tensor:
        value = layer.state_dict(keep_vars=True)[layer.reference_name(key)]
        if key.startswith("conv1") and not value.requires_grad:
            value.grad = torch.zeros_like(value)  # recorded as zeros where there is none
        return value

    return Subject(layer, layer.load_reference, own, shapes, run)


def encoding(config: dict[str, Any]) -> Subject:
    dictionary = Encoding(config["D"], config["K"])

    def run(x: Tensor) -> Tensor:
        plain = choice.forced_form("layer") == "plain"
        return (dictionary if plain else dictionary.lean)(x.flatten(2))

    return subject(dictionary, lambda: theirs(dictionary, {"": ""}), run)


class EncModule(ReferenceWeights):
    """The layer, and the classifier of its code where there is one."""

    def __init__(self, channels: int, classes: int | None, codes: int) -> None:
        super().__init__()
        self.context = create("encoding", channels, codes=codes)
        self.classify = None if classes is None else nn.Linear(channels, classes)

    def reference_name(self, key: str) -> str | None:
        if key.startswith("selayer."):
            return "classify" + key.removeprefix("selayer")
        found = self.context.reference_name(key)
        return None if found is None else f"context.{found}"

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y, code = self.context.gated(x)
        return (y,) if self.classify is None else (y, self.classify(code))


def enc_module(config: dict[str, Any]) -> Subject:
    classes = config["nclass"] if config.get("se_loss", True) else None
    module = EncModule(config["in_channels"], classes, config.get("ncodes", 32))
    names = {
        "context.project": "encoding",
        "context.dictionary": "encoding.3",
        "context.norm": "encoding.4",
        "context.expand": "fc.0",
        "classify": "selayer",
    }
    return subject(module, lambda: theirs(module, names))


def psanet(config: dict[str, Any]) -> Subject:
    layer = create(
        "psanet",
        config.get("in_channels", 2048),
        hidden=config.get("mid_channels", 512),
        directions=DIRECTIONS[config.get("psa_type", 2)],
        mask_size=(config.get("mask_h", 59), config.get("mask_w", 59)),
        compact=config.get("compact", False),
        shrink=config.get("shrink_factor", 2),
        softmax=config.get("psa_softmax", True),
        normalisation=config.get("normalization_factor", 1.0),
        concatenate=True,
    )
    names = {"project": "proj"}
    for place, suffix in enumerate(("", "_p")):
        names[f"branches.{place}.reduce"] = f"reduce{suffix}"
        names[f"branches.{place}.guide"] = f"attention{suffix}"
        names[f"branches.{place}.mask"] = f"attention{suffix}.3"

    def shapes() -> Shapes:
        keys = theirs(layer, names)
        return {k: (*s, 1, 1) if k.endswith(".3.weight") else s for k, s in keys.items()}

    return subject(layer, shapes)


def psamask(config: dict[str, Any]) -> Subject:
    collect = config.get("psa_type", 0) == 0

    def run(mask: Tensor) -> Tensor:
        size = (config["mask_H_"], config["mask_W_"])
        return expand_mask(mask, size, collect).unflatten(2, mask.shape[2:])

    def own(key: str) -> Tensor:
        raise KeyError(f"{key}: there are no parameters")

    return Subject(nn.Module(), lambda state: None, own, dict, run)


ADAPTERS: dict[str, Adapter] = {
    "emau@author": emau,
    "encoding@author": encoding,
    "enc_module@author": enc_module,
    "psanet_psa@author": psanet,
    "psamask@author": psamask,
}

UNCOUNTED = {"enc_module@author"}
