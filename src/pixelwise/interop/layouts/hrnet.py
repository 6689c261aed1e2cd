"""HRNet-OCR (MIT), and DeLightCMU/PSA and NVIDIA's semantic-segmentation, which are built on it.

HRNet: the backbone at the top level with `last_layer`, or with `conv3x3_ocr`, `ocr_distri_head`,
`aux_head`, `cls_head`; everything resizes with aligned corners. NVIDIA and DeLightCMU: `backbone.*`
and `ocr.*`, without aligned corners, and `scale_attn.*` where several scales are weighed;
DeLightCMU's basic blocks hold polarized self-attention (`deattn`). Inputs are red, green, blue with
ImageNet's mean and standard deviation.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pixelwise.errors import InputError
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
from pixelwise.layers.parallel_polarized_self_attention import ParallelPolarizedSelfAttention
from pixelwise.layers.sequential_polarized_self_attention import SequentialPolarizedSelfAttention
from pixelwise.networks.config import ModelConfig

SCALES = (0.5, 1.0, 2.0)
"""At which the published networks of NVIDIA and DeLightCMU predict."""
JOINED = "its HRNet joins branches bilinearly, {}, timm's repeats pixels: kept"
PARTS = ("conv3x3_ocr.", "ocr_distri_head.", "aux_head.", "cls_head.")


class HRNetOCRLayout(CheckpointLayout):
    """`stage4.*` with `last_layer.*` or `ocr_distri_head.*`."""

    name: ClassVar[str] = "HRNet-OCR"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are branches at the top level."""
        return begins(keys, "stage4.", "stage3.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """HRNet with its own classifier, or with object context."""
        if not begins(checkpoint.state, *PARTS[:2]):
            if begins(checkpoint.state, "last_layer."):
                return _plain(checkpoint)
            raise InputError(
                "HRNet: there is no segmentation head in it, neither last_layer.* nor"
                " ocr_distri_head.*; for ImageNet weights take timm's with pretrained=True, else"
                " get the whole file"
            )
        return _foreign(checkpoint, "", "", aligned=True)


class PSALayout(CheckpointLayout):
    """`backbone.stage4.*` with `ocr.ocr_distri_head.*`."""

    name: ClassVar[str] = "DeLightCMU/PSA"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are branches in a backbone and an object context beside it."""
        found = list(keys)
        return begins(found, "backbone.stage") and begins(found, "ocr.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """HRNet with object context, and what stands inside its blocks."""
        return _foreign(checkpoint, "backbone.", "ocr.", aligned=False)


def _plain(checkpoint: Checkpoint) -> Foreign:
    """HRNetV2 with its own classifier."""
    missing = norms.uncounted(checkpoint.state)
    state = norms.counted(checkpoint.state, missing)
    heads = {key: key for key in state if key.startswith("last_layer.")}
    names = {key: key for key in state if key not in heads}
    body = backbones.hrnet(state, names)
    last = "last_layer.3.weight"
    return Foreign(
        code="HRNet-Semantic-Segmentation",
        network=f"hrnetv2 on {body.title}",
        config=ModelConfig(
            arch="hrnetv2",
            backbone=body.name,
            num_classes=width(state, last, "last_layer.3.bias"),
            in_channels=body.in_channels,
            backbone_options={**body.options, "resize": "bilinear_aligned"},
            options={"kernel_size": width(state, last, axis=2)},
            align_corners=True,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        backbone=names,
        decoder=heads,
        state=state,
        differences=(JOINED.format("corners aligned"), *([counters(missing)] if missing else [])),
    )


def _foreign(checkpoint: Checkpoint, before: str, start: str, *, aligned: bool) -> Foreign:
    missing = norms.uncounted(checkpoint.state)
    state = norms.counted(checkpoint.state, missing)
    parts = tuple(start + name for name in (*PARTS, "ocr_gather_head."))
    heads = {key: key for key in state if key.startswith((*parts, "scale_attn."))}
    names = {k: inner for k, inner in split(state, before).items() if k not in heads}
    attention = _attention(names.values())
    names = {key: inner.replace(".deattn.", ".aa.") for key, inner in names.items()}
    body = backbones.hrnet(state, {k: inner for k, inner in names.items() if ".aa." not in inner})
    context = f"{start}ocr_distri_head.object_context_block.f_pixel"
    options: dict[str, Any] = {
        "features": "all",
        "width": width(state, f"{start}conv3x3_ocr.0.weight"),
        "key_width": width(state, f"{context}.0.weight", f"{context}.2.weight"),
        "region_width": width(state, f"{start}aux_head.0.weight"),
        "region_kernel": width(state, f"{start}aux_head.0.weight", axis=2),
        "bias": any(f"{start}{name}.0.bias" in state for name in ("conv3x3_ocr", "aux_head")),
        "context_bias": False,
    }
    how = "corners aligned" if aligned else "corners not aligned"
    told = [JOINED.format(how)]
    if begins(state, "scale_attn."):
        options["scales"] = SCALES
        options["scale_width"] = width(state, "scale_attn.conv0.weight")
        told.append(
            f"several scales are weighed: {', '.join(f'{s:g}' for s in SCALES)}, as published"
        )
    told += [counters(missing)] if missing else []
    places = {key for key, _ in attention.values()}
    code = (
        ("DeLightCMU/PSA" if places else "NVIDIA/semantic-segmentation") if start else "HRNet-OCR"
    )
    inside = f" with {', '.join(sorted(places))} in its basic blocks" if places else ""
    return Foreign(
        code=code,
        network=f"ocrnet on {body.title}{inside}",
        config=ModelConfig(
            arch="ocrnet",
            backbone=body.name,
            num_classes=width(state, f"{start}cls_head.weight", f"{start}cls_head.bias"),
            in_channels=body.in_channels,
            attention=attention,
            backbone_options={
                **body.options,
                "resize": "bilinear_aligned" if aligned else "bilinear",
            },
            options=options,
            align_corners=aligned,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        backbone=names,
        decoder=heads,
        state=state,
        differences=tuple(told),
    )


def _attention(names: Iterable[str]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Polarized self-attention in the basic blocks of stages."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    keys = [name for name in names if ".deattn." in name]
    sequential = any(".deattn.conv_up.0." in key or ".deattn.conv_up.1." in key for key in keys)
    kind = SequentialPolarizedSelfAttention if sequential else ParallelPolarizedSelfAttention
    for stage in (2, 3, 4):
        if begins(keys, f"stage{stage}."):
            found[f"inner{stage}"] = (kind.key, {})
    return found
