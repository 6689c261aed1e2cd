"""In which type statistics are taken."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Gradients = tuple[Tensor | None, ...]

HALF_TYPES = (torch.float16, torch.bfloat16)


def statistics_dtype(x: Tensor) -> torch.dtype:
    """The type for softmaxes, means and sums over pixels of `x`: float32 for half types."""
    return torch.float32 if x.dtype in HALF_TYPES else x.dtype


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Autocast switched off where it is on for the device of `x`."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def hand_over(grad: Tensor) -> Tensor:
    """Mark a gradient made here, on its way to another function of this package alone.

    Maps inside a layer are seen by nobody else, so the next function may add to it in place.
    """
    grad.handed_over = True  # type: ignore[attr-defined]
    return grad


def taken_over(grad: Tensor) -> bool:
    """Whether `grad` was marked by `hand_over`. The mark goes: what leaves the layer has none."""
    marked: bool = vars(grad).pop("handed_over", False)
    return marked


def own_backward(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """Mark a backward written by hand: not differentiable again, and never under autocast."""

    @functools.wraps(backward)
    def guarded(ctx: Any, grad: Tensor, *others: Tensor | None) -> Gradients:
        with full_precision(grad):
            return backward(ctx, grad, *others)

    return once_differentiable(guarded)
