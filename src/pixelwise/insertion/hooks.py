"""The hooks that pass a host's features on through what was inserted; they copy and pickle."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.insertion.attached import Attached, Insertions


class Behind:
    """A forward hook that passes a module's output on through an insertion."""

    def __init__(self, attached: Attached, insertions: Insertions) -> None:
        self.attached, self.insertions = attached, insertions

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """The output with attention.

        Raises:
            InputError: The module is not what the layer was inserted behind.
        """
        place, image = self.attached.place, self.insertions.image
        if self.attached.stands == place.name and place.after and absorbs(module, self.attached):
            raise InputError(
                f"insert={place.name!r}: {place.after!r} was folded into this module, and the layer"
                f" stands between the two; insert after {place.after!r}, or afterwards"
            )
        if isinstance(output, Tensor):
            return self.attached(output, image)
        changed = (self.attached(output[0], image), *output[1:])
        return type(output)(*changed) if hasattr(output, "_fields") else changed


class Guard:
    """A forward hook of what comes before a place, such as a convolution before a norm.

    It goes with the module where that is copied by itself, folded with the norm, into a network
    whose hooks are gone.
    """

    known = 0
    """The id of the guard that the host knows of: a copy is another one."""

    def __init__(self, attached: Attached, name: str) -> None:
        self.attached, self.name = attached, name

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Stop where the place is a part of this module now, and its layer is not behind it.

        Raises:
            InputError: It is.
        """
        place = self.attached.place
        if self.known == id(self) or torch.compiler.is_dynamo_compiling():
            return  # the host looks at each layer by itself
        if not absorbs(module, self.attached, self.name):
            return
        if not any(hook.attached.place.name == place.name for hook in carried(module)):
            raise InputError(
                f"insert={place.name!r}: it was folded into {self.name!r} where the layer could"
                " not follow; fold norms by pixelwise.fold, or insert afterwards"
            )


def absorbs(module: nn.Module, attached: Attached, name: str | None = None) -> bool:
    """Whether a module that had no bias when a layer was inserted there has one now."""
    before = attached.facts.get(attached.place.name if name is None else name)
    return before is not None and not before.shifts and getattr(module, "bias", None) is not None


class Notes:
    """A forward pre-hook where the picture comes in: its size tells the grid of tokens."""

    def __init__(self, insertions: Insertions) -> None:
        self.insertions = insertions

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Note the picture's size."""
        self.insertions.image = (inputs[0].shape[-2], inputs[0].shape[-1])


def carried(module: nn.Module) -> Iterator[Behind]:
    """The insertions that a module's output passes through."""
    for hook in module._forward_hooks.values():
        if isinstance(hook, Behind):
            yield hook


def put(module: nn.Module, behind: Behind) -> None:
    """Let a module's output pass through an insertion, in the order in which the host had them.

    First of all hooks: some networks collect the outputs of their modules by hooks of their own.
    """
    place, order = behind.attached.place, list(carried(module))
    later = [
        i
        for i, other in enumerate(order)
        if place.name in other.attached.place.before or other.attached.place.name in place.same
    ]
    order.insert(min(later, default=len(order)), behind)
    drop(module, lambda hook: isinstance(hook, Behind))
    for hook in reversed(order):
        module.register_forward_hook(hook, prepend=True)


def drop(module: nn.Module, wanted: Callable[[Any], bool]) -> None:
    """Take hooks off a module."""
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for number in [number for number, hook in hooks.items() if wanted(hook)]:
            for kept in (
                hooks,
                module._forward_hooks_with_kwargs,
                module._forward_pre_hooks_with_kwargs,
            ):
                kept.pop(number, None)
