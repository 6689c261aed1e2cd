"""Adapters of heads and whole networks."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from adapters.subject import Adapter, Shapes, Subject, subject
from pixelwise.networks.base import Decoder
from pixelwise.networks.decoders.danet import DANet
from pixelwise.networks.factory import create_model
from pixelwise.networks.parts import StageHead

BRANCHES = ("position", "channel")


def decoder_outputs(decoder: Decoder, names: Sequence[str]) -> Any:
    def run(*features: Tensor) -> tuple[Tensor, ...]:
        outputs = decoder.with_auxiliary(features)
        return outputs.logits, *(outputs.auxiliary[name] for name in names)

    return run


def danet_head(config: dict[str, Any]) -> Subject:
    decoder = DANet([config["in_channels"]], config["out_channels"])
    return subject(decoder, run=decoder_outputs(decoder, BRANCHES))


def danet_head_untransposed(config: dict[str, Any]) -> Subject:
    decoder = DANet([config["in_channels"]], config["out_channels"], variant="untransposed")
    return subject(decoder, run=decoder_outputs(decoder, BRANCHES))


def mmseg_da(config: dict[str, Any]) -> Subject:
    decoder = DANet(
        [config["in_channels"]],
        config["num_classes"],
        width=config["channels"],
        key_width=config["pam_channels"],
    )
    return subject(decoder, run=decoder_outputs(decoder, BRANCHES))


def fcn_head(config: dict[str, Any]) -> Subject:
    head = StageHead(config["in_channels"], config["out_channels"])
    return subject(head)


def danet_full(config: dict[str, Any]) -> Subject:
    model = create_model(
        "danet",
        config["backbone"] + ("" if config.get("no_deepstem") else "s"),
        num_classes=config["nclass"],
        output_stride=config.get("os", 8),
        multi_grid=tuple(config["multi_dilation"]) if config.get("multi_grid") else None,
    )

    def run(image: Tensor) -> tuple[Tensor, ...]:
        outputs = model.with_auxiliary(image)
        return outputs.logits, *(outputs.auxiliary[name] for name in BRANCHES)

    def shapes() -> Shapes:
        own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        theirs = {
            "position_reduce": "conv5a",
            "position.query": "sa.query_conv",
            "position.keys": "sa.key_conv",
            "position.value": "sa.value_conv",
            "position.gain": "sa.gamma",
            "position_expand": "conv51",
            "classify_position": "conv6",
            "channel_reduce": "conv5c",
            "channel.gain": "sc.gamma",
            "channel_expand": "conv52",
            "classify_channel": "conv7",
            "classify": "conv8",
        }
        keys = {}
        for name, shape in own.items():
            if name.startswith("backbone.body."):
                keys["pretrained." + name.removeprefix("backbone.body.")] = shape
                continue
            inner = name.removeprefix("decoder.")
            ours = max((o for o in theirs if inner == o or inner.startswith(o + ".")), key=len)
            key = f"head.{theirs[ours]}{inner.removeprefix(ours)}"
            keys[key] = (*shape, 1, 1) if len(shape) == 2 else shape  # ours is a linear map
        return keys

    return subject(model, shapes, run)


ADAPTERS: dict[str, Adapter] = {
    "danet_full@author": danet_full,
    "danet_head@author": danet_head,
    "danet_head@seed004": danet_head_untransposed,
    "fcn_head@author": fcn_head,
    "mmseg_da": mmseg_da,
}
