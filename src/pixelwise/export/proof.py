"""An exported file is run at several sizes and compared with the network.

    difference = max |file - network| / (max network - min network)

Of classes, which have no size, it is what the file's class lacks to the network's, in logits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError, in_one_line
from pixelwise.export.running import Run, loaded, node_in, tensors

TOLERANCE = 1e-4
"""The largest difference."""
SAMPLE = (2, (96, 128))
"""Batch and size that a network is traced at."""
RUNS = (SAMPLE, (1, (97, 61)), (1, (7, 12)), (1, (64, 200)), (3, (128, 96)))
"""The sample's, and others: odd, smaller than strides and windows, not square, batch 3."""
Inputs = Callable[[int, tuple[int, int]], tuple[Tensor, ...]]
"""Batch and size -> what a module is given."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        size: Height and width.
        batch: Images at once.
        difference: As a part of the range of the network's output.
    """

    size: tuple[int, int]
    batch: int
    difference: float


class Unequal(InputError):
    """A file that does not do what the network does.

    Args:
        run: The batch and size where that was seen.
        reason: What is wrong.
        remedy: What to do.
        node: Where ONNX Runtime failed.
    """

    def __init__(
        self, run: tuple[int, tuple[int, int]], reason: str, remedy: str, node: str = ""
    ) -> None:
        batch, (height, width) = run
        super().__init__(f"size={height}x{width}, batch={batch}: {reason}; {remedy}")
        self.run = run
        self.node = node


@runtime_checkable
class Deciding(Protocol):
    """A network that answers by classes."""

    def lack(self, image: Tensor, found: Tensor, wanted: Tensor) -> float:
        """By how much the logits speak against the classes `found`, as a part of their range."""


def pictures(channels: int, seed: int = 0) -> Inputs:
    """Normalised pictures of noise: the same for the same batch and size."""

    def made(batch: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        return (torch.randn(batch, channels, *size, generator=generator),)

    return made


@torch.no_grad()
def prove(
    model: nn.Module,
    path: str | Path,
    format: str,
    *,
    inputs: Inputs | None = None,
    runs: Sequence[tuple[int, tuple[int, int]]] = RUNS,
) -> list[Row]:
    """Compare a file with the module that it was exported from.

    Args:
        model: In eval mode, float32, on the CPU; returns a tensor or several.
        path: The file.
        format: "onnx" or "torch-export".
        inputs: What the module is given; default: pictures of noise with 3 bands.
        runs: Batches and sizes.

    Raises:
        InputError: `Unequal` where the file fails at a size or differs by more than `TOLERANCE`,
            `NoKernel` where it has an operator that ONNX Runtime does not know.
    """
    run = loaded(Path(path), format)
    made = inputs or pictures(3)
    return [_compared(model, run, made(batch, size), size, batch) for batch, size in runs]


def _compared(
    model: nn.Module, run: Run, given: tuple[Tensor, ...], size: tuple[int, int], batch: int
) -> Row:
    at = batch, size
    try:
        wanted = tensors(model(*given))
    except RuntimeError as error:
        told = in_one_line(error, 200).replace(";", ",")
        raise Unequal(
            at, f"the network itself cannot run at this size ({told})", "fix the size by --size"
        ) from error
    if any(w.is_floating_point() and bool(w.isinf().any()) for w in wanted):
        raise Unequal(at, "the network itself gives infinite values", "check its weights")
    try:
        found = run(*given)
    except Exception as error:  # of ONNX Runtime's own types, or a guard of torch.export
        told = in_one_line(error, 200).replace(";", ",")
        reason = f"the file cannot run at this size ({told})"
        raise Unequal(at, reason, "fix the size by --size", node_in(str(error))) from error
    shapes = [[tuple(t.shape) for t in some] for some in (found, wanted)]
    if shapes[0] != shapes[1]:
        raise Unequal(
            at, f"the file gives {shapes[0]}, the network {shapes[1]}", "fix the size by --size"
        )
    row = Row(
        size, batch, max(_apart(model, given, f, w) for f, w in zip(found, wanted, strict=True))
    )
    if not row.difference <= TOLERANCE:
        raise Unequal(
            at,
            f"the file differs from the network by {row.difference:.2g} of the range, more than"
            f" {TOLERANCE:g}",
            "take another layer or format",
        )
    return row


def _apart(model: nn.Module, given: tuple[Tensor, ...], found: Tensor, wanted: Tensor) -> float:
    if wanted.is_floating_point():
        return apart(found, wanted)
    if torch.equal(found, wanted):
        return 0.0
    return model.lack(given[0], found, wanted) if isinstance(model, Deciding) else 1.0


def apart(found: Tensor, wanted: Tensor) -> float:
    """The largest difference as a part of the range; NaN where one is finite and one is not."""
    known = wanted.isfinite()
    if not torch.equal(known, found.isfinite()):
        return float("nan")
    if not known.any():
        return 0.0
    one, other = found[known].double(), wanted[known].double()
    spread = float(other.max() - other.min()) or float(other.abs().max()) or 1.0
    return float((one - other).abs().max()) / spread
