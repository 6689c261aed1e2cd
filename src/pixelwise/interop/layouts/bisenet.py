"""CoinCheung/BiSeNet (MIT): `detail.*`, `segment.*`, `bga.*`, `head.*`, `aux*`.

Inputs are red, green, blue with the mean and standard deviation of its Cityscapes configuration;
`align_corners=False`.
"""

from collections.abc import Iterable
from typing import ClassVar

from pixelwise.interop import backbones
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.network import CheckpointLayout, Foreign, begins, split, width
from pixelwise.networks.config import ModelConfig

MEAN = (0.3257, 0.3690, 0.3223)
STD = (0.2112, 0.2148, 0.2115)


class BiSeNetLayout(CheckpointLayout):
    """`detail.S1.*` and `segment.*`."""

    name: ClassVar[str] = "CoinCheung/BiSeNet"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are its two branches."""
        found = list(keys)
        return begins(found, "detail.S") and begins(found, "segment.S")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """BiSeNetV2."""
        state = checkpoint.state
        body = backbones.bisenetv2({k: k for k in split(state, "detail.", "segment.")})
        told = "input: mean and standard deviation of its Cityscapes configuration are assumed"
        return Foreign(
            code="CoinCheung/BiSeNet",
            network=f"bisenetv2 on {body.title}",
            config=ModelConfig(
                arch="bisenetv2",
                backbone=body.name,
                num_classes=width(state, "head.conv_out.1.weight", "head.conv_out.1.bias"),
                options={
                    "width": width(state, "head.conv.conv.weight", "head.conv.bn.weight"),
                    "auxiliary": begins(state, "aux"),
                },
                align_corners=False,
                mean=MEAN,
                std=STD,
            ),
            backbone=body.names,
            decoder={key: key for key in state if key not in body.names},
            state=state,
            differences=(told,),
        )
