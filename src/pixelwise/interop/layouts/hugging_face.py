"""Hugging Face's SegFormer (transformers, Apache-2.0): `segformer.encoder.*`, `decode_head.*`.

Weights as `save_pretrained` writes them, or under the names that transformers 5 has in memory;
names of classes lie in another file and are not read.
Inputs are red, green, blue with ImageNet's mean and standard deviation.
"""

import re
from collections.abc import Iterable
from typing import ClassVar

from pixelwise.interop import transformers
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

ENCODER, HEAD = "segformer.encoder.", "decode_head."
IN_MEMORY = "segformer.stages."
WRITTEN = (
    (r"^segformer\.stages\.(\d+)\.blocks\.(\d+)\.", r"segformer.encoder.block.\1.\2."),
    (r"^segformer\.stages\.(\d+)\.(patch_embeddings|layer_norm)\.", r"segformer.encoder.\2.\1."),
    (r"\.attention\.q_proj\.", ".attention.self.query."),
    (r"\.attention\.k_proj\.", ".attention.self.key."),
    (r"\.attention\.v_proj\.", ".attention.self.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.sequence_reduction\.sequence_reduction\.", ".self.sr."),
    (r"\.sequence_reduction\.layer_norm\.", ".self.layer_norm."),
    (r"\.layernorm_before\.", ".layer_norm_1."),
    (r"\.layernorm_after\.", ".layer_norm_2."),
    (r"\.mlp\.fc(\d)\.", r".mlp.dense\1."),
    (r"^decode_head\.linear_projections\.", "decode_head.linear_c."),
)
"""Names that transformers 5 has in memory -> those that it writes."""


class HuggingFaceLayout(CheckpointLayout):
    """`segformer.encoder.*`."""

    name: ClassVar[str] = "Hugging Face transformers (SegFormer)"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there is SegFormer's encoder."""
        return begins(keys, ENCODER) or begins(keys, IN_MEMORY)

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """SegFormer, or its backbone alone with a classifier of whole pictures."""
        state = {_written(key): value for key, value in checkpoint.state.items()}
        body = transformers.mit(state, split(state, ENCODER))
        head = split(state, HEAD)
        told = ["input: red, green, blue with ImageNet's mean and standard deviation is assumed"]
        options: dict[str, object] = {}
        if head:
            told.append(transformers.COARSEST_FIRST)
            fused = (f"{HEAD}linear_fuse.weight", f"{HEAD}batch_norm.weight")
            options = {"width": width(state, *fused), "variant": "plain"}
        classifier = (f"{HEAD}classifier.weight", f"{HEAD}classifier.bias")
        outputs = width(state, *classifier) if head else 2
        rest = tuple(key for key in state if key not in body.names and key not in head)
        return Foreign(
            code="Hugging Face transformers",
            network=f"segformer on {body.title}",
            config=ModelConfig(
                arch="segformer",
                backbone=body.name,
                num_classes=outputs,
                task="binary" if outputs == 1 else "multiclass",
                in_channels=body.in_channels,
                backbone_options=body.options,
                options=options,
                align_corners=False,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
            backbone=body.names,
            decoder=head,
            state=state,
            differences=(*body.differences, *told),
            left_out=() if head else rest,
            fresh=() if head else ("decoder.",),
        )


def _written(key: str) -> str:
    """The name of a tensor as `save_pretrained` writes it."""
    for pattern, name in WRITTEN:
        key = re.sub(pattern, name, key)
    return key
