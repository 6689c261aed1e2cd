"""EMANet: `extractor.*` (a sequence: stem, norm, pooling, stages), `fc0`, `emau`, `fc1`, `fc2`.

Its networks have ResNets with a stem of three convolutions at output stride 8, the last stage's
blocks dilated by 2, 8 and 16; inputs are red, green, blue with ImageNet's mean and standard
deviation; `align_corners=True`. Written from the names alone: the repository's code (GPL-3) was not
read.
"""

from collections.abc import Iterable
from typing import ClassVar

from pixelwise.interop import backbones, norms
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.layouts.encoding import counters
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

PARTS = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
"""Places in the sequence -> parts of the residual network."""
DILATIONS = (2, 8, 16)


class EMANetLayout(CheckpointLayout):
    """`extractor.*` and `emau.*`."""

    name: ClassVar[str] = "EMANet"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there is an extractor, and the attention or the layers around it."""
        found = list(keys)
        return begins(found, "extractor.") and begins(found, "emau.", "fc0.", "fc1.", "fc2.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """The network."""
        missing = norms.uncounted(checkpoint.state)
        state = norms.counted(checkpoint.state, missing)
        names = {}
        for key, inner in split(state, "extractor.").items():
            place, _, rest = inner.partition(".")
            names[key] = f"{PARTS.get(place, place)}.{rest}"
        body = backbones.resnet(state, names)
        blocks = {inner.split(".")[1] for inner in names.values() if inner.startswith("layer4.")}
        grid = DILATIONS if len(blocks) == len(DILATIONS) else None
        options = {
            "width": width(state, "fc1.0.conv.weight", "fc1.0.bn.weight"),
            "attention_width": width(state, "fc0.conv.weight", "fc0.bn.weight"),
            "bases": width(state, "emau.mu", axis=2),
            "norm_momentum": 3e-4,
        }
        told = [f"the last stage's blocks are dilated by {grid}, as published"] if grid else []
        return Foreign(
            code="EMANet",
            network=f"emanet on {body.title}",
            config=ModelConfig(
                arch="emanet",
                backbone=body.name,
                num_classes=width(state, "fc2.weight", "fc2.bias"),
                in_channels=body.in_channels,
                output_stride=8,
                multi_grid=grid,
                backbone_options=body.options,
                options=options,
                align_corners=True,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
            backbone=body.names,
            decoder={
                key: key for key in state if key.startswith(("fc0.", "emau.", "fc1.", "fc2."))
            },
            state=state,
            differences=(*told, *([counters(missing)] if missing else [])),
        )
