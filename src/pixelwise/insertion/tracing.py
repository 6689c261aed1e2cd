"""One forward pass of a host on a small picture: what comes out of every module."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.cost import counted
from pixelwise.insertion.attached import CHILD
from pixelwise.insertion.examples import Example, picture_of, quiet, run
from pixelwise.ops.running import choice


@dataclass
class ModuleCall:
    """One call of a module."""

    name: str
    module: nn.Module
    start: int
    end: int = 0
    given: tuple[int, ...] = ()
    """Shape of its first input, if that is a tensor."""
    shape: tuple[int, ...] = ()
    """Shape of its output, or of the first tensor of an output that is a tuple."""
    dtype: torch.dtype = torch.float32
    """Of that output."""
    problem: str = ""
    """Why its output is no tensor."""


@dataclass
class Trace:
    """What happened in the pass; `calls` are in the order of their ends."""

    image: tuple[int, int]
    batch: int
    calls: list[ModuleCall] = field(default_factory=list)
    flops: int = 0

    def of(self, name: str) -> list[ModuleCall]:
        """The calls of one module."""
        return [call for call in self.calls if call.name == name]

    @property
    def entrance(self) -> str | None:
        """The innermost module that is given the picture itself."""
        taken = [c for c in self.calls if c.given[:1] + c.given[-2:] == (self.batch, *self.image)]
        first = min(taken, key=lambda call: call.end, default=None)
        return None if first is None else first.name


def own_modules(host: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules inside a host by name, without what was inserted."""
    for name, module in host.named_modules():
        if name and CHILD not in name.split("."):
            yield name, module


def watchable(host: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Of these the ones that take hooks; scripted ones take none."""
    for name, module in own_modules(host):
        if not isinstance(module, torch.jit.ScriptModule):
            yield name, module


def trace(host: nn.Module, example: Example) -> Trace:
    """Run the host once, in the mode it is in, and note every module's calls.

    The host's tensors may be fake ones; then nothing is computed.
    """
    picture = picture_of(example)
    found = Trace((picture.shape[-2], picture.shape[-1]), len(picture))
    running: list[ModuleCall] = []
    time = iter(range(1 << 62))

    def before(call: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        given = tuple(inputs[0].shape) if inputs and isinstance(inputs[0], Tensor) else ()
        running.append(ModuleCall(call, module, next(time), given=given))

    def after(output: Any) -> None:
        call = running.pop()
        call.end = next(time)
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            call.shape, call.dtype = tuple(first.shape), first.dtype
        else:
            call.problem = f"its output is a {type(output).__name__}, not a tensor"
        found.calls.append(call)

    handles = []
    for name, module in watchable(host):
        handles += [
            module.register_forward_pre_hook(lambda m, x, name=name: before(name, m, x)),
            module.register_forward_hook(lambda m, x, output: after(output)),
        ]
    try:
        with torch.no_grad(), quiet(), choice.forced(layer="lean"):  # as without the hooks
            with counted() as counter:
                run(host, example)
            found.flops = counter.get_total_flops()
    finally:
        for handle in handles:
            handle.remove()
    return found
