"""Adapters of EncNet: its head, the whole network, and its loss."""

from typing import Any

import torch
from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, by_weights, subject, theirs
from pixelwise.losses import loss_for, presence_loss
from pixelwise.networks.base import Outputs
from pixelwise.networks.decoders.encnet import EncNet
from pixelwise.networks.factory import create_model

HEAD = {
    "reduce": "conv5",
    "lateral": "connect",
    "merge": "fusion",
    "context.project": "encmodule.encoding",
    "context.dictionary": "encmodule.encoding.3",
    "context.norm": "encmodule.encoding.4",
    "context.expand": "encmodule.fc.0",
    "presence": "encmodule.selayer",
    "classify": "conv6",
}
"""Our names -> the authors'."""


def answers(outputs: Outputs) -> tuple[Tensor, ...]:
    """What the authors return: logits, presence, auxiliary logits, of what there is."""
    presence = () if outputs.presence is None else (outputs.presence,)
    return outputs.logits, *presence, *outputs.auxiliary.values()


def enc_head(config: dict[str, Any]) -> Subject:
    last, lateral = config["in_channels"], config.get("lateral", True)
    width = config.get("width", 512)

    def build(shapes: Shapes) -> EncNet:
        first = shapes.get("connect.0.0.weight", (width, width))
        second = shapes.get("connect.1.0.weight", (width, 2 * width))
        channels = [1, first[1], second[1], last] if lateral else [last]
        return EncNet(
            channels,
            config["out_channels"],
            width=width,
            codes=config.get("ncodes", 32),
            lateral=2 if lateral else 0,
            lateral_width=first[0],
            presence=config.get("se_loss", True),
            auxiliary=False,
        )

    def run(decoder: EncNet, *features: Tensor) -> tuple[Tensor, ...]:
        logits, *rest = answers(decoder.with_auxiliary(features))
        unused = sum(x.sum() for x in features[: -3 if lateral else -1])
        return logits + 0 * unused, *rest  # recorded with gradients of zero

    return by_weights(build, lambda decoder: theirs(decoder, HEAD), run)


def mmseg_enc(config: dict[str, Any]) -> Subject:
    channels = config["in_channels"]
    channels = channels if isinstance(channels, list) else [channels]
    decoder = EncNet(
        channels,
        config["num_classes"],
        width=config["channels"],
        codes=config.get("num_codes", 32),
        lateral=len(channels) - 1 if config.get("add_lateral", False) else 0,
        presence=config.get("use_se_loss", True),
        auxiliary=False,
    )
    decoder.align_corners = config.get("align_corners", False)
    return subject(decoder, run=lambda *features: answers(decoder.with_auxiliary(features)))


def encnet_full(config: dict[str, Any]) -> Subject:
    lateral = config.get("lateral", False)
    model = create_model(
        "encnet",
        config["backbone"],
        num_classes=config["nclass"],
        lateral=2 if lateral else 0,
        presence=config.get("se_loss", True),
        auxiliary=config.get("aux", True),
    )

    def shapes() -> Shapes:
        names = {f"decoder.{ours}": f"head.{name}" for ours, name in HEAD.items()}
        names |= {"decoder.auxiliary.layers": "auxlayer.conv5", "backbone.body": "pretrained"}
        return theirs(model, names)

    return subject(model, shapes, lambda image: answers(model.with_auxiliary(image)))


def encnet_loss(config: dict[str, Any]) -> Subject:
    ignore = config.get("ignore_index", -1)
    weights = config.get("weight")
    per_pixel = loss_for(
        "multiclass",
        class_weights=None if weights is None else torch.tensor(weights),
        ignore_index=ignore,
    )
    present, auxiliary = config.get("se_loss", False), config.get("aux", False)

    def run(logits: Tensor, *rest: Tensor) -> Tensor:
        *others, mask = rest
        total = per_pixel(logits, mask)
        if present:
            weight = config.get("se_weight", 0.2)
            total = total + weight * presence_loss(others.pop(0), mask, ignore_index=ignore)
        if auxiliary:
            total = total + config.get("aux_weight", 0.4) * per_pixel(others.pop(0), mask)
        assert not others
        return total

    return Subject(nn.Module(), lambda state: None, without_parameters, dict, run)


def without_parameters(key: str) -> Tensor:
    raise KeyError(f"{key}: there are no parameters")


ADAPTERS: dict[str, Adapter] = {
    "enc_head@author": enc_head,
    "encnet_full@author": encnet_full,
    "encnet_loss@author": encnet_loss,
    "mmseg_enc": mmseg_enc,
}
