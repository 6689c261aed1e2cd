"""Adapters of PSANet: mmsegmentation's head and the authors' network."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adapters.emanet import renamed
from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from adapters.summaries import DIRECTIONS
from pixelwise.networks.decoders.psanet import PSANet
from pixelwise.networks.factory import create_model

MMSEG_DIRECTIONS = {"collect": "collect", "distribute": "distribute", "bi-direction": "both"}
BACKBONE = {f"layer0.{i}": f"pretrained.conv1.{i}" for i in (0, 1, 3, 4, 6)}
BACKBONE |= {f"layer{i}": f"pretrained.layer{i}" for i in (1, 2, 3, 4)}
BACKBONE["layer0.7"] = "pretrained.bn1"
"""The authors' names -> those of a checkpoint whose backbone is torchvision's."""


def mmseg_psa(config: dict[str, Any]) -> Subject:
    decoder = PSANet(
        [config["in_channels"]],
        config["num_classes"],
        width=config["channels"],
        directions=MMSEG_DIRECTIONS[config.get("psa_type", "bi-direction")],
        mask_size=tuple(config["mask_size"]),
        compact=config.get("compact", False),
        shrink=config.get("shrink_factor", 2),
        softmax=config.get("psa_softmax", True),
        normalisation=config.get("normalization_factor", 1.0),
        variant="mmsegmentation",
    )
    decoder.align_corners = config.get("align_corners", False)
    return subject(decoder, run=lambda x: decoder([x]))


@contextmanager
def native_convolutions() -> Iterator[None]:
    """Without oneDNN, whose float32 convolutions are several times less exact.

    Its error puts an activation of the backbone on the other side of zero than where it was
    recorded, and the gradient of that ReLU is then another one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a setting for GPUs that is restored with it
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def psanet_full(config: dict[str, Any]) -> Subject:
    zoom = config.get("zoom_factor", 8)
    model = create_model(
        "psanet",
        f"resnet{config.get('layers', 50)}s",
        num_classes=config.get("classes", 2),
        directions=DIRECTIONS[config.get("psa_type", 2)],
        mask_size=(config.get("mask_h", 59), config.get("mask_w", 59)),
        compact=config.get("compact", False),
        shrink=config.get("shrink_factor", 2),
        softmax=config.get("psa_softmax", True),
        normalisation=config.get("normalization_factor", 1.0),
        backbone_options={"dilation": "full"},
    )
    names = {name: part.replace("pretrained", "backbone.body") for name, part in BACKBONE.items()}
    names |= {
        "psa.proj": "decoder.attention.project",
        "cls": "decoder.join",
        "cls.4": "decoder.classify.1",
        "aux": "decoder.auxiliary.layers",
    }
    for branch, suffix in enumerate(("", "_p")):
        inside = f"decoder.attention.branches.{branch}"
        names[f"psa.reduce{suffix}"] = f"{inside}.reduce"
        names[f"psa.attention{suffix}"] = f"{inside}.guide"
        names[f"psa.attention{suffix}.3"] = f"{inside}.mask"

    def shapes() -> Shapes:
        keys = theirs(model, {part: name for name, part in names.items()})
        return {
            k: (*s, 1, 1) if k.endswith(".3.weight") and len(s) == 2 else s for k, s in keys.items()
        }

    def run(image: Tensor) -> Tensor:
        with native_convolutions():
            logits = model.decoder(model.backbone(image))
        size = [(side - 1) * zoom // 8 + 1 for side in image.shape[2:]]
        return F.interpolate(logits, size, mode="bilinear", align_corners=True)

    return renamed(model, BACKBONE, shapes, run)


ADAPTERS: dict[str, Adapter] = {"mmseg_psa": mmseg_psa, "psanet_full@author": psanet_full}
