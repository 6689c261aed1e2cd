"""Backward passes written by hand: how they are marked, and how they hand gradients on.

First derivatives are what the backward says. When it runs with gradients enabled, that is under
`create_graph=True`, gradients are taken through the operation's plain form instead: they are equal,
autograd can differentiate them as often as it likes, and they take the plain form's memory.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pixelwise.ops.running.precision import full_precision

Gradients = tuple[Tensor | None, ...]
Backward = Callable[..., Gradients]

Plain = Callable[..., Tensor | tuple[Tensor | None, ...]]
Again = Callable[[Any], tuple[Plain, tuple[Tensor | None, ...]]]
"""From the context of a backward: the plain form, and the tensors that it takes. Those are the
first inputs of the function, in their order; its outputs are those of the plain form."""


def twice_differentiable(again: Again) -> Callable[[Backward], Backward]:
    """Mark a backward written by hand, whose second derivatives are those of `again`'s plain form.

    The backward itself runs without gradients, and never under autocast.
    """

    def mark(backward: Backward) -> Backward:
        @functools.wraps(backward)
        def guarded(ctx: Any, *grads: Tensor | None) -> Gradients:
            given = next(grad for grad in grads if grad is not None)
            with full_precision(given):
                if torch.is_grad_enabled():
                    found = through(*again(ctx), grads, create_graph=True)
                    return found + (None,) * (len(ctx.needs_input_grad) - len(found))
                with torch.no_grad():
                    return backward(ctx, *grads)

        return guarded

    return mark


@torch.enable_grad()
def through(
    form: Plain, inputs: tuple[Tensor | None, ...], grads: Gradients, *, create_graph: bool
) -> Gradients:
    """The gradients of `inputs` by another form, that can be differentiated again if wanted."""
    # Views, since one input may come from another: each gradient is of its own path alone.
    own = [z.view_as(z) if z is not None and z.requires_grad else z for z in inputs]
    outputs = form(*own)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    pairs = [
        (y, grad)
        for y, grad in zip(outputs, grads, strict=True)
        if y is not None and y.requires_grad and grad is not None
    ]
    wanted = [z for z in own if z is not None and z.requires_grad]
    ends, starts = zip(*pairs, strict=True)
    found = iter(
        torch.autograd.grad(ends, wanted, starts, create_graph=create_graph, allow_unused=True)
    )
    return tuple(next(found) if z is not None and z.requires_grad else None for z in own)


def with_plain_gradients(
    operator: Callable[..., Tensor], plain: Plain, *inputs: Tensor | None
) -> Tensor:
    """`operator(*inputs)` of another library, with second derivatives through `plain`.

    First derivatives stay those of the operator.
    """
    if not torch.is_grad_enabled():
        return operator(*inputs)
    out = operator(*_OnceAlone.apply(*inputs))
    result: Tensor = _TwiceAlone.apply(*inputs, out, plain)
    return result


class _OnceAlone(torch.autograd.Function):
    """The way from the operator to its inputs: closed where a gradient is differentiated again."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor | None) -> tuple[Tensor | None, ...]:
        return inputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Gradients:
        return tuple(None for _ in grads) if torch.is_grad_enabled() else grads


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return ctx.plain, ctx.saved_tensors


class _TwiceAlone(torch.autograd.Function):
    """The way past the operator, open only there."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        *inputs, out, ctx.plain = given
        ctx.save_for_backward(*inputs)
        return out

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return *(None for _ in ctx.saved_tensors), grad, None


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
