"""A layer's `forward` that takes the compiled form where a verdict says that it is faster."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.compiling import measuring, verdicts
from pixelwise.compiling.kinds import Called, as_called, kind_of, mode_of, ordinary, talks
from pixelwise.errors import InputError
from pixelwise.layers.base import Layer
from pixelwise.ops.running import choice

COMPILERS = ("c++", "g++", "clang++", "cl")
SIZES = 4
"""Of a layer in a mode, no more sizes than these are compiled; each takes seconds."""
NOTED = 256
"""Calls that a layer remembers to run as it is."""

_measuring = threading.Lock()


def compiled(module: nn.Module) -> nn.Module:
    """Let the layers inside a module run compiled where that is faster; the module itself is given.

    Layers with modes in `worth_compiling` are measured on the CPU, as they are and compiled, at the
    first call in a mode with maps of a kind. The compiled form is taken where it gives the same
    numbers in a tenth less time or better. Verdicts are kept for the next process, in the folder
    `$PIXELWISE_CACHE`, or else in `~/.cache/pixelwise`; `PIXELWISE_CACHE=off` keeps none.

    A measurement takes seconds, and changes neither results nor weights, statistics, gradients or
    random numbers. A process makes eight at most; what is unknown then runs as it is. No more than
    four sizes of a map are compiled for a layer in a mode. Parameters, names and hooks stay; copies
    and pickles are compiled in the same way, anew. Inside a network that is itself compiled or
    exported they are as if they had not been. A gradient of a gradient is beyond torch.compile.

    Args:
        module: A layer, or any network with layers in it; without any, nothing is done.

    Raises:
        InputError: There are such layers, but no C++ compiler, which torch.compile needs.
    """
    found = list(candidates(module))
    if found and compiler() is None:
        raise InputError(
            f"no C++ compiler was found ({', '.join(COMPILERS)}, or $CXX), and torch.compile needs"
            " one on CPUs; install one, e.g. g++, or use the layers as they are"
        )
    for layer in found:
        if "forward" not in vars(layer):  # as it is where someone put a forward there already
            vars(layer)["forward"] = PerMode(layer)
    return module


def candidates(module: nn.Module) -> Iterator[Layer]:
    """The layers that are worth trying; a part of another layer runs as that layer says."""
    todo, seen = [module], set[nn.Module]()
    while todo:
        part = todo.pop()
        if part in seen:
            continue
        seen.add(part)
        if not isinstance(part, Layer):
            todo += list(part.children())[::-1]
        elif part.worth_compiling:
            yield part


def compiler() -> str | None:
    """The C++ compiler that torch.compile will find, if any."""
    names = (os.environ.get("CXX"), *COMPILERS)
    return next((path for name in names if name and (path := shutil.which(name))), None)


class PerMode:
    """A layer's `forward`, compiled or as it is; it goes with the layer into copies and pickles."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.forms: dict[Called, Callable[..., Tensor] | None] = {}
        """How it is called -> the compiled form, or None where it runs as it is."""

    def __call__(self, *given: Tensor) -> Tensor:
        """As the layer's class has it."""
        called = None if choice.traced() else self._called(given)
        if called is not None and (form := self._form(called, given)) is not None:
            try:
                return form(*given)
            except torch._dynamo.exc.TorchDynamoException:  # no compiler any more, a full disk
                self.forms[called] = None
        found: Tensor = type(self.layer).forward(self.layer, *given)
        return found

    @property
    def modes(self) -> set[str]:
        """The modes in which something was compiled."""
        return {called[0] for called, form in self.forms.items() if form is not None}

    def _called(self, given: tuple[Tensor, ...]) -> Called | None:
        """How the layer is called, or None where it runs as it is in any case."""
        layer = self.layer
        if not ordinary(given) or layer.altered() is not None:
            return None
        mode = mode_of(layer, given)
        return as_called(layer, mode, given) if mode in layer.worth_compiling else None

    def _form(self, called: Called, given: tuple[Tensor, ...]) -> Callable[..., Tensor] | None:
        if called not in self.forms and _measuring.acquire(blocking=False):
            try:
                self._note(called, self._decided(called[0], given))
            finally:
                _measuring.release()
        return self.forms.get(called)

    def _decided(self, mode: str, given: tuple[Tensor, ...]) -> Callable[..., Tensor] | None:
        """The compiled form, where a verdict says so."""
        made = [called for called, form in self.forms.items() if form and called[0] == mode]
        if len(made) >= SIZES or talks(self.layer):
            return None
        kind = kind_of(self.layer, mode, given)
        verdict = verdicts.known(kind)
        if verdict is None and verdicts.may_measure():
            with verdicts.counted():
                verdict = measuring.measured(self.layer, mode, given)
            if verdict is not None:
                verdicts.keep(kind, verdict)
        if verdict is None or not verdict.taken:
            return None
        return measuring.compiled_form(self.layer)

    def _note(self, called: Called, form: Callable[..., Tensor] | None) -> None:
        if len(self.forms) >= NOTED:
            self.forms = {called: form for called, form in self.forms.items() if form}
        self.forms[called] = form

    def __reduce__(self) -> tuple[Any, ...]:
        return PerMode, (self.layer,)
