"""What the machine allows at best: its rates, and the time that no form can be under.

    floor = max(operations / rate of matrix products, bytes / rate of copies)

Forward reads x and writes y. A training step also reads x and the gradient of y and writes
the gradient of x, and computes three times as much.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from pixelwise.devices import pick_device

SIDES = (512, 1024, 2048, 4096)
"""Of the matrices: larger ones are tried while they take no longer than `PATIENCE` seconds."""
PATIENCE = 0.7
COPIED = 2**28
REPEATS = 3


@dataclass(frozen=True)
class Ceilings:
    """Operations, and bytes read and written, per second."""

    operations: float
    bytes: float

    def floor(self, flops: int, maps: Sequence[float], *, training: bool) -> float:
        """Seconds at least.

        Args:
            flops: Operations of the forward pass.
            maps: Bytes of each input, and of the output last.
            training: Of a training step.
        """
        read, written = sum(maps[:-1]), maps[-1]
        moved = 3 * read + 2 * written if training else read + written
        return max((3 if training else 1) * flops / self.operations, moved / self.bytes)


def ceilings(device: str, dtype: str) -> Ceilings:
    """Measure the rates of this machine; takes a few seconds."""
    pick_device(device)  # raises where it is not here
    kinds = {torch.float32, getattr(torch, dtype)}  # some processors are slow with half types
    rate = max(_product_rate(device, kind) for kind in kinds)
    source = torch.ones(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source).fill_(0)
    return Ceilings(rate, 2 * COPIED / _seconds(device, lambda: target.copy_(source)))


def _product_rate(device: str, kind: torch.dtype) -> float:
    rate = 0.0
    for side in SIDES:
        left, right, product = (
            torch.randn(side, side, device=device, dtype=kind) for _ in range(3)
        )
        seconds = _seconds(device, partial(torch.mm, left, right, out=product))
        rate = max(rate, 2 * side**3 / seconds)
        if 8 * seconds > PATIENCE:
            break
    return rate


def _seconds(device: str, function: Callable[[], object]) -> float:
    """The least of a few calls, after a first."""
    taken = []
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        function()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return min(taken[1:])


def map_bytes(shapes: Sequence[Sequence[int]], dtype: str) -> list[float]:
    """Bytes of maps of these shapes."""
    return [float(math.prod(shape) * getattr(torch, dtype).itemsize) for shape in shapes]
