"""torchvision.models.segmentation (BSD-3-Clause): `backbone.*`, `classifier.*`, `aux_classifier.*`.

Inputs are red, green, blue with ImageNet's mean and standard deviation; corners are not aligned.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.interop import backbones
from pixelwise.interop.backbones import Body
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CheckpointLayout,
    Foreign,
    begins,
    split,
    width,
)
from pixelwise.networks.config import ModelConfig

State = Mapping[str, Tensor]
HEADS = ("classifier.4.", "classifier.0.convs.", "classifier.cbr.", "classifier.low_classifier.")


class TorchvisionLayout(CheckpointLayout):
    """`backbone.*` and `classifier.*`."""

    name: ClassVar[str] = "torchvision"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are a backbone and one of its heads."""
        found = list(keys)
        return begins(found, "backbone.") and begins(found, *HEADS)

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """FCN or LR-ASPP."""
        state = checkpoint.state
        if begins(state, "classifier.0.convs."):
            raise InputError(
                "torchvision, deeplabv3: there is no counterpart here, whose deeplabv3plus needs a"
                " fine feature map; take a checkpoint of fcn_resnet50 or lraspp_mobilenet_v3_large"
            )
        backbone = split(state, "backbone.")
        if begins(state, "classifier.4."):
            arch, body, stride = "fcn", backbones.resnet(state, backbone), 8
            options: dict[str, Any] = {"auxiliary": begins(state, "aux_classifier.")}
            options["width"] = width(state, "classifier.0.weight", "classifier.1.weight")
            last = "classifier.4"
        else:
            arch, body, stride = "lr_aspp", _mobilenet_v3(state, backbone), 16
            options = {"width": width(state, "classifier.cbr.0.weight", "classifier.cbr.1.weight")}
            last = "classifier.high_classifier"
        heads = split(state, "classifier.") if arch == "lr_aspp" else {}
        if arch == "fcn":
            heads = {k: f"head.conv5.{v}" for k, v in split(state, "classifier.").items()}
            heads |= {k: f"auxlayer.{v}" for k, v in split(state, "aux_classifier.").items()}
        return Foreign(
            code="torchvision",
            network=f"{arch} on {body.title}",
            config=ModelConfig(
                arch=arch,
                backbone=body.name,
                num_classes=width(state, f"{last}.weight", f"{last}.bias"),
                in_channels=body.in_channels,
                output_stride=stride,
                backbone_options=body.options,
                options=options,
                align_corners=False,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
            backbone=body.names,
            decoder=heads,
            state=state,
            differences=body.differences,
        )


STAGES = (1, 2, 1, 2, 4, 2, 3)
"""Blocks of each stage of MobileNetV3 large, the third cut in two: see `rules.set_fine`."""
LAST = len(STAGES)


def _mobilenet_v3(state: State, keys: Mapping[str, str]) -> Body:
    """MobileNetV3 large, whose blocks torchvision counts from the first to the last."""
    places = [(stage, block) for stage, count in enumerate(STAGES) for block in range(count)]
    names = {}
    for key, inner in keys.items():
        first, _, rest = inner.partition(".")
        number = int(first) if first.isdigit() else -1
        if number == 0:
            names[key] = _plain(rest, "conv_stem", "bn1")
        elif number == len(places) + 1:
            names[key] = _plain(rest, f"blocks.{LAST}.0.conv", f"blocks.{LAST}.0.bn1")
        elif 0 < number <= len(places):
            stage, block = places[number - 1]
            names[key] = f"blocks.{stage}.{block}.{_block(rest, expands=number > 1)}"
        else:
            names[key] = inner
    if f"blocks.{LAST}.0.conv.weight" not in names.values():
        raise InputError(
            "torchvision, LR-ASPP: its backbone is not MobileNetV3 large; take a checkpoint of"
            " lraspp_mobilenet_v3_large"
        )
    told = "its norms have eps 0.001, its fine map is that of a stage's first block: kept"
    return Body(
        "mobilenetv3_large_100",
        "MobileNetV3 large",
        {"bn_eps": 1e-3, "dilation": "full", "fine": "first_block"},
        names,
        width(state, "backbone.0.0.weight", axis=1),
        (told,),
    )


def _plain(rest: str, conv: str, norm: str) -> str:
    part, _, name = rest.partition(".")
    return f"{conv if part == '0' else norm}.{name}"


def _block(rest: str, *, expands: bool) -> str:
    """A part of an inverted residual, in timm's words."""
    found = re.fullmatch(r"block\.(\d)\.(fc1|fc2|0|1)\.(.*)", rest)
    if found is None:
        return rest
    number, part, name = int(found[1]), found[2], found[3]
    if part in ("fc1", "fc2"):
        return f"se.conv_{'reduce' if part == 'fc1' else 'expand'}.{name}"
    order = ("conv_pw", "conv_dw", "conv_pwl") if expands else ("conv_dw", "conv_pw")
    norm = min(number, len(order) - 1)
    return f"{order[norm]}.{name}" if part == "0" else f"bn{norm + 1}.{name}"
