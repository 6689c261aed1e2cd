"""Which layer of a network cannot be exported: parts are exported alone, from the whole inwards."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from pixelwise.export.onnx_file import write_onnx
from pixelwise.export.program import traced
from pixelwise.export.proof import TOLERANCE, apart
from pixelwise.export.running import tensors

LONGEST = 180.0
"""Seconds that are spent on looking."""
FINE = (
    *(nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm, nn.Identity, nn.Dropout),
    *(nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid),
)
"""Modules that every format knows."""
Run = tuple[int, tuple[int, int]]


class Part(nn.Module):
    """A module as it was called, as a function of the tensors among its arguments."""

    def __init__(self, module: nn.Module, call: tuple[Any, Any]) -> None:
        super().__init__()
        self.module = module
        self._leaves, self._form = pytree.tree_flatten(call)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The tensors that the module returns."""
        given = iter(inputs)
        leaves = [next(given) if isinstance(leaf, Tensor) else leaf for leaf in self._leaves]
        args, options = pytree.tree_unflatten(leaves, self._form)
        return tuple(tensors(self.module(*args, **options)))


def named(network: nn.Module, name: str) -> str:
    """A module as people know it: its place, its class, and its key if it is a layer."""
    module = network.get_submodule(name)
    key = getattr(module, "key", None)
    told = type(module).__name__ + (f", layer {key!r}" if isinstance(key, str) else "")
    return f"{name.removeprefix('model').lstrip('.') or 'the network'} ({told})"


@torch.no_grad()
def culprit(
    network: nn.Module, runs: Sequence[Run], made: Callable[..., Any], *, written: bool
) -> str:
    """The innermost module that, alone, cannot be traced, written or run; "": the whole.

    Args:
        network: In eval mode.
        runs: Batches and sizes: the sample's, and at least one other.
        made: Batch and size -> inputs of the network.
        written: Whether an ONNX file is written of it; else the program is run.
    """
    try:
        calls = [_calls(network, made(batch, size)) for batch, size in runs]
    except RuntimeError:  # the network itself cannot run at that size
        return ""
    order = [name for name in calls[0] if name and all(name in found for found in calls)]
    end = time.monotonic() + LONGEST

    def inside(outer: str) -> str | None:
        under = [name for name in order if not outer or name.startswith(f"{outer}.")]
        for name in under:
            if any(name.startswith(f"{other}.") for other in under):
                continue
            module = network.get_submodule(name)
            if isinstance(module, FINE) or time.monotonic() > end:
                continue
            fails = _fails(module, [found[name] for found in calls], written)
            if fails is not False:  # None: it cannot be tried by itself
                found = inside(name) or (name if fails else None)
                if found is not None:
                    return found
        return None

    return inside("") or ""


def _calls(network: nn.Module, given: tuple[Tensor, ...]) -> dict[str, tuple[Any, Any]]:
    """Name -> arguments of the first call of each module, outer ones and earlier ones first."""
    found: dict[str, tuple[Any, Any]] = {}
    hooks = []
    for name, module in network.named_modules():

        def note(_: nn.Module, args: Any, options: Any, name: str = name) -> None:
            found.setdefault(name, (args, options))

        hooks.append(module.register_forward_pre_hook(note, with_kwargs=True))
    try:
        network(*given)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _fails(module: nn.Module, calls: Sequence[tuple[Any, Any]], written: bool) -> bool | None:
    """Whether it cannot be exported by itself; None: that cannot be tried."""
    leaves = [pytree.tree_flatten(call)[0] for call in calls]
    given = [tuple(leaf for leaf in some if isinstance(leaf, Tensor)) for some in leaves]
    rest = [[leaf for leaf in some if not isinstance(leaf, Tensor)] for some in leaves]
    shapes = [[tensor.ndim for tensor in some] for some in given]
    if any(r != rest[0] for r in rest) or any(s != shapes[0] for s in shapes) or not given[0]:
        return None
    part = Part(module, calls[0]).eval()
    free = [
        {
            axis: torch.export.Dim.DYNAMIC
            for axis in range(first.ndim)
            if any(some[i].shape[axis] != first.shape[axis] for some in given)
        }
        for i, first in enumerate(given[0])
    ]
    try:
        program = traced(part, given[0], free, variadic=True)
        if written:
            with tempfile.TemporaryDirectory() as folder:
                write_onnx(program, Path(folder) / "part.onnx")
            return False
        run = program.module()
        pairs = [(run(*some), part(*some)) for some in given]
    except Exception:
        return True
    return any(not apart(f, w) <= TOLERANCE for some in pairs for f, w in zip(*some, strict=True))
