"""The module that a case stands for, and the inputs that it takes at a size."""

from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.benchmarks.cases import Case
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.benchmarked import Size
from pixelwise.layers.registry import available, create

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
    options = available()[case.key].benchmark_options(case.options, size)
    return create(case.key, size[1], **options)


def shapes(case: Case, module: nn.Module, size: Size, *, training: bool) -> list[Size]:
    """Of each input: `size`, or the next that the module takes, and a guide's."""
    if not isinstance(module, Layer):
        return [size]
    least, multiple, images = module.limits
    height, width = (-(-max(side, least) // multiple) * multiple for side in size[2:])
    x = (max(size[0], images if training else 1), size[1], height, width)
    if not isinstance(module, FusionLayer):
        return [x]
    return [x, module.benchmark_guide(module.benchmark_options(case.options, x), x)]


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
