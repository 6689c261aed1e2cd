"""U-Nets with an encoder of their own: `Conv1.conv.*`, `Up5.up.*`, `Att5.*`, `Up_conv5.conv.*`.

The networks known as U_Net and AttU_Net, of two dimensions and five resolutions. Written from the
names and the papers: no code was read. Finer maps are joined in front of enlarged ones, which are
enlarged by the nearest neighbour: the tensors do not tell it.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from torch import Tensor

from pixelwise.interop.backbones import Body
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.network import CheckpointLayout, Foreign, begins, width
from pixelwise.networks.config import ModelConfig

LEVELS = (1, 2, 3, 4, 5)


class UNetLayout(CheckpointLayout):
    """`Conv1.conv.*` and `Up_conv5.conv.*`."""

    name: ClassVar[str] = "U_Net, AttU_Net"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are steps of the encoder and of the decoder."""
        found = list(keys)
        return all(
            begins(found, *(f"{part}{i}.conv." for i in LEVELS)) for part in ("Conv", "Up_conv")
        )

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """U-Net, or Attention U-Net."""
        state = checkpoint.state
        gated = begins(state, *(f"Att{i}." for i in LEVELS))
        arch = "attention_unet" if gated else "unet"
        widths = _widths(state, "Conv", LEVELS)
        up = _widths(state, "Up_conv", LEVELS[:0:-1])
        outputs = width(state, "Conv_1x1.weight", "Conv.weight")
        inside = {key: key for key in state if key.startswith(tuple(f"Conv{i}." for i in LEVELS))}
        body = Body("unet_encoder", "an encoder of its own", {"widths": widths}, inside)
        return Foreign(
            code="AttU_Net" if gated else "U_Net",
            network=f"{arch} on {body.title}",
            config=ModelConfig(
                arch=arch,
                backbone=body.name,
                num_classes=outputs,
                task="binary" if outputs == 1 else "multiclass",
                in_channels=width(state, "Conv1.conv.0.weight", axis=1),
                backbone_options=body.options,
                options={"widths": up, "up_convolutions": True},
            ),
            backbone=body.names,
            decoder={key: key for key in state if key not in inside},
            state=state,
            differences=(
                "nearest interpolation, and finer maps in front where two are joined, are assumed",
                "input: mean and standard deviation are not known; values from 0 to 1 are assumed",
            ),
        )


def _widths(state: Mapping[str, Tensor], part: str, levels: Iterable[int]) -> tuple[int, ...]:
    return tuple(width(state, f"{part}{i}.conv.0.weight", f"{part}{i}.conv.0.bias") for i in levels)
