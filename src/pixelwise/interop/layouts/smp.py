"""segmentation_models_pytorch (MIT): `encoder.*`, `decoder.*`, `segmentation_head.0.*`.

Encoders are ResNets under torchvision's names. Inputs are red, green, blue with ImageNet's mean and
standard deviation, as its `get_preprocessing_fn` has them; what it enlarges bilinearly has its
corners aligned. Output stride, dilations and interpolation are those of its defaults: the tensors
do not tell them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from pixelwise.errors import InputError
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
from pixelwise.networks.config import ModelConfig

State = Mapping[str, Tensor]
OTHERS = {
    "decoder.blocks.x_": "U-Net++",
    "decoder.blocks.0.block.0.": "Linknet",
    "decoder.center.": "a U-Net with a center block, or MAnet",
    "decoder.mlp_stage": "SegFormer",
    "decoder.readout_blocks.": "DPT",
    "decoder.fpn_bottleneck.": "UPerNet",
    "decoder.lateral_convs.": "UPerNet",
    "decoder.psp.": "PSPNet",
    "decoder.blocks.0.attention1.": "a U-Net with scSE attention",
    "decoder.aspp.convs.": "DeepLabV3",
}
"""Keys of its networks that have no counterpart here."""


class SMPLayout(CheckpointLayout):
    """`encoder.*` and `segmentation_head.*`."""

    name: ClassVar[str] = "segmentation_models_pytorch"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are an encoder and its head, or its decoder."""
        found = list(keys)
        return begins(found, "encoder.") and begins(found, "segmentation_head.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """U-Net, PAN, FPN or DeepLabV3+."""
        state = checkpoint.state
        for start, other in OTHERS.items():
            if begins(state, start):
                raise InputError(
                    f"segmentation_models_pytorch, {other}: there is no counterpart here; take a"
                    " checkpoint of its Unet, PAN, FPN or DeepLabV3Plus"
                )
        encoder = split(state, "encoder.")
        if not begins(encoder.values(), "layer1."):
            raise InputError(
                "segmentation_models_pytorch: its encoder is no ResNet; take a checkpoint on"
                " resnet18 to resnet152"
            )
        body = backbones.resnet(state, encoder)
        arch, options, stride, told = _decoder(state)
        dilated = {} if stride == 32 else {"dilation": "full"}
        image = split(state, "classification_head.")
        left = (f"a classifier of whole pictures is left out ({len(image)} tensors)",)
        head = "segmentation_head.0"
        outputs = width(state, f"{head}.weight", f"{head}.bias")
        return Foreign(
            code="segmentation_models_pytorch",
            network=f"{arch} on {body.title}",
            config=ModelConfig(
                arch=arch,
                backbone=body.name,
                num_classes=outputs,
                task="binary" if outputs == 1 else "multiclass",
                in_channels=body.in_channels,
                output_stride=stride,
                backbone_options={**body.options, **dilated},
                options=options,
                align_corners=True,
                **_normalisation(body.in_channels),
            ),
            backbone=body.names,
            decoder={k: k for k in state if k.startswith(("decoder.", "segmentation_head."))},
            state=state,
            differences=(told, *(left if image else ()), *_preprocessing(body.in_channels)),
            left_out=tuple(image),
        )


def _decoder(state: State) -> tuple[str, dict[str, Any], int, str]:
    """Architecture, options, output stride, and what is assumed."""
    if begins(state, "decoder.fpa."):
        told = "output stride 16 and bilinear interpolation, its defaults, are assumed"
        return "pan", {"width": width(state, "decoder.gau1.conv2.conv.weight")}, 16, told
    if begins(state, "decoder.p5.", "decoder.seg_blocks."):
        fpn = {
            "neck": width(state, "decoder.p5.weight", "decoder.p5.bias"),
            "width": width(state, "decoder.seg_blocks.3.block.0.block.0.weight"),
            "smooth": False,
            "group_norm": True,
        }
        return "fpn", fpn, 32, "merging by sums, its default, is assumed"
    if begins(state, "decoder.aspp."):
        options: dict[str, Any] = {
            "variant": "smp",
            "width": width(state, "decoder.aspp.0.project.0.weight"),
            "detail_width": width(state, "decoder.block1.0.weight"),
            "auxiliary": False,
        }
        told = "output stride 16 and dilations 12, 24, 36, its defaults, are assumed"
        return "deeplabv3plus", options, 16, told
    if not begins(state, "decoder.blocks."):
        raise InputError(
            "segmentation_models_pytorch: its decoder is not known; take a checkpoint of Unet, PAN,"
            " FPN or DeepLabV3Plus"
        )
    blocks = 1 + max(int(key.split(".")[0]) for key in split(state, "decoder.blocks.").values())
    widths = tuple(width(state, f"decoder.blocks.{i}.conv1.0.weight") for i in range(blocks))
    told = "nearest interpolation, its default, is assumed"
    return "unet", {"widths": widths}, 32, told


def _normalisation(bands: int) -> dict[str, Any]:
    return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD} if bands == 3 else {}


def _preprocessing(bands: int) -> tuple[str, ...]:
    if bands == 3:
        return ("input: red, green, blue with ImageNet's mean and standard deviation is assumed",)
    return (f"input: mean and standard deviation of the {bands} bands are not known",)
