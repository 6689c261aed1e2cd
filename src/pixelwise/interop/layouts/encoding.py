"""PyTorch-Encoding (MIT) and DANet (MIT), built on it: `pretrained.*`, `head.*`, `auxlayer.*`.

The backbone has torchvision's names, or a stem `conv1.0` to `conv1.6`. Inputs are red, green, blue
with ImageNet's mean and standard deviation; `align_corners=True` throughout.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from pixelwise.errors import InputError
from pixelwise.interop import backbones, norms
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

DILATIONS = (4, 8, 16)
"""Of the last stage's blocks in DANet's published networks."""


class EncodingLayout(CheckpointLayout):
    """`pretrained.*` and `head.*`."""

    name: ClassVar[str] = "PyTorch-Encoding / DANet"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there is a `pretrained` backbone with a head."""
        found = list(keys)
        return begins(found, "pretrained.layer", "pretrained.conv1") and begins(found, "head.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """DANet, EncNet or FCN."""
        missing = norms.uncounted(checkpoint.state)
        state = norms.counted(checkpoint.state, missing)
        told = [counters(missing)] if missing else []
        classifier = split(state, "pretrained.fc.")
        backbone = {k: v for k, v in split(state, "pretrained.").items() if k not in classifier}
        multi_grid = None
        options: dict[str, Any] = {}
        if begins(state, "head.sa.", "head.sc.", "head.conv5a.", "head.conv5c."):
            arch, last = "danet", "head.conv8.1"
            options["width"] = width(state, "head.conv5a.0.weight", "head.conv5a.1.weight")
            options["key_width"] = width(state, "head.sa.query_conv.weight")
            blocks = len({k.split(".")[2] for k in split(state, "pretrained.layer4.")})
            multi_grid = DILATIONS[:blocks] if blocks <= len(DILATIONS) else None
            told.append(f"the last stage's blocks are dilated by {multi_grid}, as published")
        elif begins(state, "head.encmodule."):
            arch, last = "encnet", "head.conv6.1"
            dictionary = "head.encmodule.encoding.3"
            options["width"] = width(state, "head.conv5.0.weight", "head.conv5.1.weight")
            options["codes"] = width(state, f"{dictionary}.codewords", f"{dictionary}.scale")
            options["lateral"] = len({k.split(".")[2] for k in split(state, "head.connect.")})
            if options["lateral"]:
                options["lateral_width"] = width(
                    state, "head.connect.0.0.weight", "head.connect.0.1.weight"
                )
            options["presence"] = begins(state, "head.encmodule.selayer.")
        elif begins(state, "head.conv5.4."):
            arch, last = "fcn", "head.conv5.4"
            options["width"] = width(state, "head.conv5.0.weight", "head.conv5.1.weight")
        else:
            raise InputError(
                "PyTorch-Encoding: its head is not known; take a checkpoint of DANet, EncNet or FCN"
            )
        body = backbones.resnet(state, backbone)
        options["auxiliary"] = begins(state, "auxlayer.")
        decoder = split(state, "auxlayer.", "head.")
        decoder = {
            k: k if arch == "fcn" or k.startswith("auxlayer.") else v for k, v in decoder.items()
        }
        outputs = width(state, f"{last}.weight", f"{last}.bias")
        return Foreign(
            code="DANet" if arch == "danet" else "PyTorch-Encoding",
            network=f"{arch} on {body.title}",
            config=ModelConfig(
                arch=arch,
                backbone=body.name,
                num_classes=outputs,
                in_channels=body.in_channels,
                output_stride=8,
                multi_grid=multi_grid,
                backbone_options=body.options,
                options=options,
                align_corners=True,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
            backbone=body.names,
            decoder=decoder,
            state=state,
            differences=(*told, *left_out(classifier)),
            left_out=tuple(classifier),
        )


def counters(missing: list[str]) -> str:
    """What is said of norms without counters."""
    return f"{len(missing)} norms count no batches, as before PyTorch 0.4.1: the counts start at 0"


def left_out(classifier: Iterable[str]) -> tuple[str, ...]:
    """What is said of ImageNet's classifier."""
    count = len(list(classifier))
    return (
        (f"ImageNet's classifier of the backbone is left out ({count} tensors)",) if count else ()
    )
