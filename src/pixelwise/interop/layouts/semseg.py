"""hszhao/semseg (MIT): `layer0.*` (the stem) to `layer4.*`, `psa` or `ppm`, `cls`, `aux`.

All blocks of its last two stages are dilated alike; inputs are red, green, blue with ImageNet's
mean and standard deviation; `align_corners=True`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

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


class SemsegLayout(CheckpointLayout):
    """`layer0.*` with `psa.*` or `ppm.*`."""

    name: ClassVar[str] = "semseg"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether the stem is `layer0` and there is one of its two modules."""
        found = list(keys)
        return begins(found, "layer0.") and begins(found, "psa.", "ppm.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """PSANet or PSPNet."""
        missing = norms.uncounted(checkpoint.state)
        state = norms.counted(checkpoint.state, missing)
        stages = {key: key for key in state if key.startswith("layer")}
        body = backbones.resnet(state, backbones.numbered_names(stages, "layer0"))
        arch = "psanet" if begins(state, "psa.") else "pspnet"
        options, told = (_psanet if arch == "psanet" else _pspnet)(state)
        options["auxiliary"] = begins(state, "aux.")
        told += [counters(missing)] if missing else []
        return Foreign(
            code="semseg",
            network=f"{arch} on {body.title}",
            config=ModelConfig(
                arch=arch,
                backbone=body.name,
                num_classes=width(state, "cls.4.weight", "cls.4.bias"),
                in_channels=body.in_channels,
                output_stride=8,
                backbone_options={**body.options, "dilation": "full"},
                options=options,
                align_corners=True,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
            backbone=body.names,
            decoder={key: key for key in split(state, "psa.", "ppm.", "cls.", "aux.")},
            state=state,
            differences=("all blocks of the dilated stages are dilated alike: kept", *told),
        )


def _psanet(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], list[str]]:
    places = width(state, "psa.attention.3.weight", "psa.attention_p.3.weight")
    side = round(places**0.5)
    masks = side * side == places and side % 2 == 1
    both = begins(state, "psa.reduce_p.", "psa.attention_p.")
    options: dict[str, Any] = {
        "width": width(state, "psa.reduce.0.weight", "psa.reduce.1.weight"),
        "directions": "both" if both else "collect",
        "mask_size": (side, side),
        "compact": not masks,
    }
    told = [
        f"masks of {side}x{side} places on a map shrunk by 2, as in the published configurations"
    ]
    if not both:
        told.append("one direction: 'collect' is assumed, which the tensors do not tell")
    return options, told


def _pspnet(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], list[str]]:
    scales = (1, 2, 3, 6)
    first = "ppm.features.0"
    return (
        {"width": width(state, f"{first}.1.weight", f"{first}.2.weight"), "pool_scales": scales},
        [f"pooling scales {scales}, as in the published configurations"],
    )
