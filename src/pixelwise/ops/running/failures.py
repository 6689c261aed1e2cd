"""Which Triton kernels do not run here, and on what.

A failure counts for the inputs of these shapes, on one device and in one type: others may build
another kernel, or a smaller grid. What fails for the same cause at TRIES different shapes there, as
it does where there is no compiler, is not tried again there at all: a try takes seconds.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

TRIES = 3
Shapes = tuple[torch.Size | None, ...]


class Place(NamedTuple):
    """Where a kernel failed, but for the shapes."""

    operation: str
    direction: str
    """forward or backward"""
    device: torch.device
    dtype: torch.dtype


def place(operation: str, direction: str, tensors: Sequence[Tensor | None]) -> Place:
    """That of the first of these inputs."""
    first = next(z for z in tensors if z is not None)
    return Place(operation, direction, first.device, first.dtype)


def shapes(tensors: Sequence[Tensor | None]) -> Shapes:
    """Of each input, None for one that is left out."""
    return tuple(None if z is None else z.shape for z in tensors)


def known(where: Place, inputs: Sequence[Tensor | None]) -> bool:
    """Whether the kernel is not to be tried with `inputs`."""
    causes = _failed.get(where)
    if causes is None:
        return False
    found = shapes(inputs)
    return any(found in failed or len(failed) >= TRIES for failed in causes.values())


def add(where: Place, inputs: Sequence[Tensor | None], error: Exception) -> None:
    """Remember a failure; a warning says so where its cause is new."""
    cause = f"{type(error).__name__}: {error}".splitlines()[0]
    causes = _failed.setdefault(where, {})
    if cause not in causes:
        kind = str(where.dtype).removeprefix("torch.")
        _log.warning(
            "the Triton kernel of %s does not run here, %s in %s on %s (%s): PyTorch runs instead",
            *where[:2], kind, where.device, cause,
        )  # fmt: skip
    causes.setdefault(cause, set()).add(shapes(inputs))


def forget() -> None:
    """Try all kernels again."""
    _failed.clear()


_failed: dict[Place, dict[str, set[Shapes]]] = {}
"""Place -> cause -> shapes that it failed with."""
_log = logging.getLogger(__name__)
