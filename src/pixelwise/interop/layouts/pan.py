"""Pyramid attention networks as trained by JaveyWang's code: a file with a part per entry.

One entry is a ResNet under torchvision's names, one has `fpa.*` and `gau_block1.*` to
`gau_block3.*`, one is a 1x1 convolution to the classes. Written from the names alone: the
repository's code (GPL-3) was not read. Inputs are red, green, blue with ImageNet's mean and
standard deviation; `align_corners=True`.
"""

import re
from collections.abc import Iterable
from typing import ClassVar

from pixelwise.errors import InputError
from pixelwise.interop import backbones
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CheckpointLayout,
    Foreign,
    split,
    width,
)
from pixelwise.networks.config import ModelConfig


class PANLayout(CheckpointLayout):
    """`fpa.*` and `gau_block1.*`, alone or below the name of an entry."""

    name: ClassVar[str] = "Pyramid-Attention-Networks-pytorch"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there is its pyramid, with one of its gates."""
        found = list(keys)
        wide = any(re.match(r"(\w+\.)?fpa\.(conv|bn)", key) for key in found)
        return wide and any(re.match(r"(\w+\.)?gau_block\d\.", key) for key in found)

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """The network, whose parts may lie in any entries."""
        state = checkpoint.state
        inside = {key: key.partition("gau_block")[0] for key in state if "gau_block" in key}
        start = next(iter(inside.values()))
        decoder = {k: v for k, v in split(state, start).items() if v.startswith(("fpa.", "gau_"))}
        rest = [key for key in state if key not in decoder]
        body = next(
            (k.partition("layer1.")[0] for k in rest if re.match(r"(\w+\.)?layer1\.", k)), None
        )
        if body is None:
            raise InputError(
                "PAN: its decoder alone, without a backbone and a classifier; give the whole file"
            )
        backbone = {
            key: inner
            for key, inner in split(rest, body).items()
            if inner.startswith(("conv", "bn", "layer"))
        }
        heads = [key for key in rest if key not in backbone and state[key].ndim in (1, 4)]
        weights = [k for k in heads if state[k].ndim == 4 and state[k].shape[2:] == (1, 1)]
        if len(weights) != 1:
            raise InputError(
                f"PAN: {len(weights)} convolutions could be its classifier; give a file with one"
            )
        head = weights[0].removesuffix("weight")
        decoder |= {k: f"segmentation_head.0.{v}" for k, v in split(rest, head).items()}
        found = backbones.resnet(state, backbone)
        return Foreign(
            code="Pyramid-Attention-Networks-pytorch",
            network=f"pan on {found.title}",
            config=ModelConfig(
                arch="pan",
                backbone=found.name,
                num_classes=width(state, weights[0]),
                in_channels=found.in_channels,
                output_stride=16,
                backbone_options=found.options,
                options={"variant": "javeywang"},
                align_corners=True,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
            backbone=found.names,
            decoder=decoder,
            state=state,
            differences=("output stride 16 is assumed, which the tensors do not tell",),
        )
