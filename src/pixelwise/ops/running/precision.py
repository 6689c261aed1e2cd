"""In which type statistics are taken."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]
Backward = Callable[..., Gradients]

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


Again = Callable[[Any], tuple[tuple[Tensor, ...], Gradients]]
"""From what a backward has: the outputs once more, by operations that autograd knows, and the
arguments that they come from, None for those without a gradient."""


def twice_differentiable(again: Again) -> Callable[[Backward], Backward]:
    """Mark a backward written by hand whose gradients, if differentiated, are those of `again`.

    For functions whose plain form takes no more memory than a few maps; else see `own_backward`.
    """

    def mark(backward: Backward) -> Backward:
        once_only = own_backward(backward)

        @functools.wraps(backward)
        def guarded(ctx: Any, grad: Tensor, *others: Tensor | None) -> Gradients:
            if not torch.is_grad_enabled():
                return once_only(ctx, grad, *others)
            outputs, inputs = again(ctx)
            given = [g for g in (grad, *others) if g is not None]
            wanted = [z for z in inputs if z is not None and z.requires_grad]
            found = iter(
                torch.autograd.grad(outputs, wanted, given, create_graph=True, allow_unused=True)
            )
            return tuple(next(found) if z is not None and z.requires_grad else None for z in inputs)

        return guarded

    return mark


def own_backward(backward: Backward) -> Backward:
    """Mark a backward written by hand: not differentiable again, and never under autocast.

    torch's own mark for that loses the way back to the inputs, so that `torch.autograd.grad` takes
    a gradient for a constant instead of refusing.
    """

    @functools.wraps(backward)
    def guarded(ctx: Any, grad: Tensor, *others: Tensor | None) -> Gradients:
        with torch.no_grad(), full_precision(grad):
            found = backward(ctx, grad, *others)
        if not torch.is_grad_enabled():
            return found
        sources = (grad, *others, *ctx.saved_tensors)
        return _Final.apply(len(found), *found, *sources)

    return guarded


class _Final(torch.autograd.Function):
    """Gradients that know where they come from, but not how."""

    @staticmethod
    def forward(ctx: Any, count: int, *found_and_sources: Tensor | None) -> Gradients:
        return tuple(z if z is None else z.detach() for z in found_and_sources[:count])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Gradients:
        raise NotImplementedError(
            "the second derivative for a layer with a backward of its own is not implemented; "
            "take gradients without create_graph=True"
        )


def once(*inputs: Tensor | None) -> Any:
    """`inputs`, on their way to a kernel that has no second derivative: this one says so."""
    return _Once.apply(*inputs)


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor | None) -> Gradients:
        return inputs

    @staticmethod
    @own_backward
    def backward(ctx: Any, *grads: Tensor | None) -> Gradients:
        return grads
