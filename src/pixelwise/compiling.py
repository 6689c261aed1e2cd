"""Layers under torch.compile, each in the modes in which that was measured faster than the layer.

Which these are stands in the layer's class, as `faster_compiled`.

A compiled graph makes one pass over the map of what torch makes several of. Most layers here have
forms that do better, and are not compiled. On GPUs layers have kernels of their own.
"""

import os
import shutil
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.base import Layer
from pixelwise.ops.running import choice

COMPILERS = ("c++", "g++", "clang++", "cl")


def compiled(module: nn.Module) -> nn.Module:
    """Let the layers inside a module run compiled where that is faster; the module itself is given.

    They are those with modes in `faster_compiled`, on the CPU, in these modes; everything else runs
    as it did. The first call of a layer in a mode, and of a further type or size, takes seconds.
    Parameters, names and hooks stay; copies and pickles are compiled in the same way, anew. Inside
    a network that is itself compiled or exported they are as if they had not been. A gradient of a
    gradient is beyond torch.compile.

    Args:
        module: A layer, or any network with layers in it; without any, nothing is done.

    Raises:
        InputError: There are such layers, but no C++ compiler, which torch.compile needs.
    """
    found = [part for part in module.modules() if isinstance(part, Layer) and part.faster_compiled]
    if found and compiler() is None:
        raise InputError(
            f"no C++ compiler was found ({', '.join(COMPILERS)}, or $CXX), and torch.compile needs"
            " one on CPUs; install one, e.g. g++, or use the layers as they are"
        )
    for layer in found:
        if "forward" not in vars(layer):  # as it is where someone put a forward there already
            vars(layer)["forward"] = PerMode(layer)
    return module


def compiler() -> str | None:
    """The C++ compiler that torch.compile will find, if any."""
    names = (os.environ.get("CXX"), *COMPILERS)
    return next((path for name in names if name and (path := shutil.which(name))), None)


class PerMode:
    """A layer's `forward`, compiled or as it is; it goes with the layer into copies and pickles."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.compiled: Callable[..., Tensor] | None = None
        """None until the first call that is to be compiled."""

    def __call__(self, x: Tensor) -> Tensor:
        """As the layer's class has it."""
        mode = "train" if torch.is_grad_enabled() else "forward"
        plain = type(x) is Tensor and x.is_cpu
        if choice.traced() or not plain or mode not in self.layer.faster_compiled:
            return type(self.layer).forward(self.layer, x)
        if self.compiled is None:
            self.compiled = torch.compile(_separate(self.layer))
        return self.compiled(x)

    def __reduce__(self) -> tuple[Any, ...]:
        return PerMode, (self.layer,)


def _separate(layer: Layer) -> Callable[..., Tensor]:
    """The layer's forward, of a code object of its own.

    torch keeps no more than eight compiled forms of one code object: too few for all the layers of
    a network, and each is one per width, type and mode.
    """
    own = type(layer).forward
    code = own.__code__.replace()
    function = types.FunctionType(code, own.__globals__, own.__name__, None, own.__closure__)
    return types.MethodType(function, layer)
