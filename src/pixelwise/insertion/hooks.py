"""The hooks that pass a host's features on through what was inserted; they copy and pickle."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.fx.proxy import TracerBase

from pixelwise.errors import InputError
from pixelwise.insertion.attached import Attached, Insertions


class Behind:
    """A forward hook that passes a module's output on through an insertion."""

    def __init__(self, attached: Attached, insertions: Insertions) -> None:
        self.attached, self.insertions = attached, insertions

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """The output with attention."""
        image = self.insertions.image
        if isinstance(output, Tensor):
            return self.attached(output, image)
        changed = (self.attached(output[0], image), *output[1:])
        return type(output)(*changed) if hasattr(output, "_fields") else changed


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


def _refusing(create_proxy: Callable[..., Any]) -> Callable[..., Any]:
    """As `torch.fx` has it, but for modules whose output passes through an insertion.

    A graph calls such a module without noting what is behind it, and what works on graphs, such as
    `torch.fx.experimental.optimization.fuse`, would lose that in silence.
    """

    @functools.wraps(create_proxy)
    def checked(tracer: Any, kind: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        if kind == "call_module" and isinstance(getattr(tracer, "root", None), nn.Module):
            module = dict(tracer.root.named_modules()).get(target)
            for hook in carried(module) if module is not None else ():
                raise InputError(
                    f"insert={hook.attached.place.name!r}: torch.fx leaves inserted layers out of"
                    " its graphs; take torch.export, or trace the host first and insert then"
                )
        return create_proxy(tracer, kind, target, *args, **kwargs)

    return checked


TracerBase.create_proxy = _refusing(TracerBase.create_proxy)  # type: ignore[method-assign]
