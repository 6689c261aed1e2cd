"""What is known of a case at a size without running it: operations, weights, maps, memory."""

import contextlib
import math
from dataclasses import dataclass

import torch

from pixelwise import cost
from pixelwise.benchmarks.floor import map_bytes
from pixelwise.benchmarks.subject import build, shapes
from pixelwise.benchmarks.work import Work
from pixelwise.errors import InputError
from pixelwise.layers.base import Layer


@dataclass(frozen=True)
class Facts:
    """Of our form."""

    flops: int
    """Of the forward pass."""
    parameters: int
    maps: list[float]
    """Bytes of each input, and of the output last."""
    predicted_mb: float | None
    exponent: float | None
    """With which operations grow with the pixels, as the layer declares it."""


MANY = 1 << 16
"""Pixels above which memory is not predicted: a step for each block of pairs takes minutes."""


def facts(work: Work) -> Facts:
    """Count on tensors that have a shape and no memory."""
    kind = getattr(torch, work.dtype)
    with torch.device("meta"):
        module = build(work.case, work.size, backbone=work.backbone).to(kind)
    wanted = shapes(work.case, module, work.size, training=work.training)
    given = [torch.empty(shape, dtype=kind, device="meta") for shape in wanted]
    module.eval()
    with torch.no_grad():
        y = module(*given)
    predicted = None
    if math.prod(wanted[0][2:]) <= (MANY * 16 if work.case.is_network else MANY):
        with contextlib.suppress(InputError):  # a device that this build of torch lacks
            predicted = cost.predict(
                module, *wanted, training=work.training, dtype=kind, device=work.device
            )
    return Facts(
        flops=cost.flops(module, *given),
        parameters=cost.parameters(module),
        maps=map_bytes([*wanted, y.shape], work.dtype),
        predicted_mb=None if predicted is None else predicted / 2**20,
        exponent=module.cost_exponent if isinstance(module, Layer) else None,
    )
