"""The module that a case stands for, and the inputs that it takes at a size."""

from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.benchmarks.cases import FULL, Case
from pixelwise.benchmarks.settings import Size
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.registry import create

CLASSES = 19
NOISE = 0.02
PART = 2**18


def build(case: Case, size: Size, *, backbone: str) -> nn.Module:
    """The layer or network, on torch's default device.

    Raises:
        InputError: An option, a width or the backbone does not fit.
    """
    if case.is_network:
        from pixelwise.networks.factory import create_model

        given = {"backbone": backbone, "num_classes": CLASSES, "in_channels": size[1]}
        return create_model(case.key, **{**given, **case.options})
    options: dict[str, Any] = dict(case.options)
    if options.get("mask_size") == FULL:
        shrink = options.get("shrink", 2)
        options["mask_size"] = tuple(2 * ((side - 1) // shrink) + 1 for side in size[2:])
    if case.key == "gate":  # the coarser map of a U-Net is twice as wide
        options.setdefault("guide_channels", 2 * size[1])
    return create(case.key, size[1], **options)


def shapes(case: Case, module: nn.Module, size: Size, *, training: bool) -> list[Size]:
    """Of each input: `size`, or the next that the module takes, and a guide's."""
    if not isinstance(module, Layer):
        return [size]
    least, multiple, images = module.limits
    height, width = (-(-max(side, least) // multiple) * multiple for side in size[2:])
    x = (max(size[0], images if training else 1), size[1], height, width)
    return [x, _guide(case, x)] if isinstance(module, FusionLayer) else [x]


def _guide(case: Case, x: Size) -> Size:
    images, channels, height, width = x
    if case.key == "ocr":  # logits of the pixels themselves
        return (images, CLASSES, height, width)
    wide = case.options.get("guide_channels", 2 * channels if case.key == "gate" else channels)
    return (images, wide, -(-height // 2), -(-width // 2))


def disturb(module: nn.Module) -> None:
    """Move every parameter a little: a gain of zero would let a form leave out its work."""
    with torch.no_grad():
        for parameter in module.parameters():
            for part in torch.split(
                parameter.view(-1), PART
            ):  # no large copy: memory is measured here
                part.add_(torch.randn_like(part), alpha=NOISE)


def inputs(wanted: list[Size], **kind: Any) -> list[Tensor]:
    """Random maps of these shapes."""
    return [torch.randn(shape, **kind) for shape in wanted]
