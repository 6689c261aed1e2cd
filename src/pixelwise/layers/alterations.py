"""What somebody's tools have done to the parts of a layer, seen without calling them.

A lean form reads the weights of parts and never calls the modules that hold them, so that an
adapter, a hook or a wrapper there would have no effect. `Layer.altered` asks here first.
"""

import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, SyncBatchNorm)
"""A batch norm may become a SyncBatchNorm: lean forms call it where it is not fixed."""


def part_kinds(layer: nn.Module) -> tuple[type, ...]:
    """The types of all parts of a layer, in order."""
    kinds = [type(part) for part in layer.modules()][1:]
    return tuple(_BatchNorm if kind in NORMS else kind for kind in kinds)


def as_made(layer: nn.Module, kinds: tuple[type, ...]) -> bool:
    """Whether all parts are of these types and none is changed; quick, since every call asks."""
    todo = list(layer._modules.values())[::-1]
    place = 0
    while todo:
        part = todo.pop()
        if part is None:
            continue
        kind = type(part)
        if place == len(kinds) or (_BatchNorm if kind in NORMS else kind) is not kinds[place]:
            return False
        own = part.__dict__
        if (
            own["_forward_hooks"]
            or own["_forward_pre_hooks"]
            or own["_backward_hooks"]
            or own["_backward_pre_hooks"]
            or "forward" in own
        ):
            return False
        for value in own["_parameters"].values():
            if type(value) is not Parameter and _foreign(value):
                return False
        if inner := own["_modules"]:
            todo += list(inner.values())[::-1]
        place += 1
    return place == len(kinds)


def changed_part(layer: nn.Module) -> str | None:
    """The name of a part that does more, or other, than its class says when it is called."""
    if not any(_changed(part) for part in list(layer.modules())[1:]):
        return None
    return next(name for name, part in layer.named_modules() if name and _changed(part))


def transformed() -> bool:
    """Whether this runs under a transform of torch.func, or in forward-mode differentiation."""
    if torch.compiler.is_compiling():
        return False  # the traced forms are transformed by the compiler
    return (
        torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
    )


def _changed(part: nn.Module) -> bool:
    own = vars(part)
    return bool(
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
        or "forward" in own
        or any(_foreign(value) for value in own["_parameters"].values())
    )


def _foreign(value: torch.Tensor | None) -> bool:
    """Whether weights are of a type of their own, as quantised and distributed ones are."""
    return type(value) is not Parameter and is_traceable_wrapper_subclass(value)
