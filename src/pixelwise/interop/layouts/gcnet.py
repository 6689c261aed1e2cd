"""xvjiarui/GCNet (Apache-2.0) and other detectors of mmdetection: they have no segmentation head.

Their backbone can be taken alone: a ResNet with global context blocks (`context_block`) before the
sums of its blocks.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from pixelwise.interop import backbones
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
from pixelwise.layers.global_context import GlobalContext
from pixelwise.networks.config import ModelConfig

HEADS = ("rpn_head.", "bbox_head.", "roi_head.", "mask_head.", "neck.")


class GCNetLayout(CheckpointLayout):
    """`backbone.*` with heads of a detector."""

    name: ClassVar[str] = "GCNet"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there is a backbone with context blocks, or a detector."""
        found = list(keys)
        blocks = any(".context_block." in key for key in found)
        return begins(found, "backbone.layer") and (blocks or begins(found, *HEADS))

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """The backbone, for a network whose decoder has no weights yet."""
        state = checkpoint.state
        names = split(state, "backbone.")
        names = {key: inner.replace(".context_block.", ".se.") for key, inner in names.items()}
        plain = {key: inner for key, inner in names.items() if ".se." not in inner}
        body = backbones.resnet(state, plain)
        attention = {
            f"blocks{stage}": (GlobalContext.key, options)
            for stage in (1, 2, 3, 4)
            if (options := _context(state, stage)) is not None
        }
        blocks = len({k.rpartition(".context_block.")[0] for k in names if ".context_block." in k})
        return Foreign(
            code="GCNet",
            network=f"a detector on {body.title} with {blocks} global context blocks",
            config=ModelConfig(
                arch="fcn",
                backbone=body.name,
                num_classes=2,
                in_channels=body.in_channels,
                output_stride=32,
                attention=attention,
                backbone_options=body.options,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
            backbone=names,
            decoder={},
            state=state,
            left_out=tuple(key for key in state if key not in names),
            fresh=("decoder.",),
        )


def _context(state: Mapping[str, Tensor], stage: int) -> dict[str, Any] | None:
    """Options of the context blocks of a stage."""
    pattern = re.compile(rf"backbone\.layer{stage}\.\d+\.context_block\.(.*)")
    inside = {m[1]: value for key, value in state.items() if (m := pattern.match(key))}
    if not inside:
        return None
    kinds = {"add": "channel_add_conv", "mul": "channel_mul_conv"}
    used = tuple(kind for kind, name in kinds.items() if begins(inside, f"{name}."))
    first = f"{kinds[used[0] if used else 'add']}.0"
    return {
        "hidden": width(inside, f"{first}.weight", f"{first}.bias"),
        "pooling": "att" if begins(inside, "conv_mask.") else "avg",
        "fusions": used,
    }
