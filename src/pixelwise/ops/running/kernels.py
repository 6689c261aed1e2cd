"""Triton kernels: the module `kernel` of an operation that has one, loaded when it is first run.

Where a kernel fails, forward or backward, the lean form runs in its place; see `failures`. With
PIXELWISE_KERNELS=off in the environment no kernel runs.
"""

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from pixelwise.errors import InputError
from pixelwise.ops.running import failures, taken
from pixelwise.ops.running.backward import Again, Backward, Gradients, through
from pixelwise.ops.running.precision import HALF_TYPES

HALF_OR_SINGLE = (torch.float32, *HALF_TYPES)
SWITCH = "PIXELWISE_KERNELS"
TENSOR_CORES = (8, 0)
"""The compute capability from which Triton's products run on tensor cores; below, they spill."""
MATRIX_CORES = ("gfx908", "gfx90a", "gfx942", "gfx950")
"""AMD's cards for computing centres, whose matrix units multiply float32 as it is too."""


def switched_on() -> bool:
    """Whether the environment lets kernels run.

    Raises:
        InputError: It says neither on nor off.
    """
    told = os.environ.get(SWITCH) or "on"
    if told not in ("on", "off"):
        raise InputError(f"{SWITCH}={told}: must be on or off; use one of them, or unset it")
    return told == "on"


def available(x: Tensor) -> bool:
    """Whether the kernels take `x`: Triton is installed, and x is on CUDA and not float64.

    A tensor without memory, as `cost.predict` has them, goes the lean way.
    """
    real = not isinstance(x, FakeTensor)
    on = switched_on()
    return on and x.is_cuda and real and x.dtype in HALF_OR_SINGLE and installed()


def multiplies(x: Tensor, kind: torch.dtype | None = None) -> bool:
    """Whether kernels that multiply matrices in `kind`, or the type of `x`, are for `x`."""
    return available(x) and (kind or x.dtype) in multiplied_types(x.device)


@functools.cache
def multiplied_types(device: torch.device) -> Sequence[torch.dtype]:
    """The types, of those that kernels take, that the matrix units of a GPU multiply."""
    if torch.version.hip is None:
        modern = torch.cuda.get_device_capability(device) >= TENSOR_CORES
        return HALF_TYPES if modern else ()
    name = torch.cuda.get_device_properties(device).gcnArchName.partition(":")[0]
    if name in MATRIX_CORES:
        return HALF_OR_SINGLE
    return HALF_TYPES if name.startswith(("gfx11", "gfx12")) else ()


@functools.cache
def installed() -> bool:
    """Whether Triton can be imported."""
    return importlib.util.find_spec("triton") is not None


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python, on the CPU: with TRITON_INTERPRET=1."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def either(form: str, operation: str, lean: Callable[..., Any]) -> Callable[..., Any]:
    """The `apply` of the operation's kernel where `form` is "kernel", else `lean`.

    Both take the same arguments, tensors first. The kernel takes one more, which is `lean` as a
    function of the tensors alone: what its backward is where that of the kernel fails.
    """
    if form != "kernel":
        return lean

    def run(*arguments: Any) -> Any:
        tensors = [z for z in arguments if z is None or isinstance(z, Tensor)]
        others = arguments[len(tensors) :]
        back = failures.place(operation, "backward", tensors)
        differentiated = torch.is_grad_enabled() and failures.known(back, tensors)
        if differentiated or arguments[0].dtype not in HALF_OR_SINGLE or not switched_on():
            taken.note(operation, "lean", arguments[0])
            return lean(*arguments)

        def again(*given: Tensor | None) -> Any:
            return lean(*given, *others)

        def kernel() -> Any:
            module = importlib.import_module(f"pixelwise.ops.{operation}.kernel")
            return module.apply(*arguments, again)

        where = failures.place(operation, "forward", tensors)
        return _guarded(where, tensors, kernel, lambda: lean(*arguments))

    return run


def lean_on_failure(operation: str, again: Again) -> Callable[[Backward], Backward]:
    """Mark a kernel's backward: where it fails, `ctx.lean` is differentiated in its place.

    `again` names the inputs, as for `twice_differentiable`, which stands above this mark.
    """

    def mark(backward: Backward) -> Backward:
        @functools.wraps(backward)
        def guarded(ctx: Any, *grads: Tensor | None) -> Gradients:
            context = _Unpacked(ctx)
            _, tensors = again(context)
            found = _guarded(
                failures.place(operation, "backward", tensors),
                tensors,
                lambda: backward(context, *grads),
                lambda: through(ctx.lean, tensors, grads, create_graph=False),
            )
            return found + (None,) * (len(ctx.needs_input_grad) - len(found))

        return guarded

    return mark


class _Unpacked:
    """A context whose tensors can be had twice: checkpointing gives each out once."""

    def __init__(self, ctx: Any) -> None:
        self.saved_tensors, self._ctx = ctx.saved_tensors, ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


Found = TypeVar("Found")


def _guarded(
    where: failures.Place,
    tensors: Sequence[Tensor | None],
    kernel: Callable[[], Found],
    lean: Callable[[], Found],
) -> Found:
    """What the kernel finds, or else the lean form.

    What the lean form refuses as well is a wrong input, and no broken kernel.
    """

    def note(form: str) -> None:
        told = form if where.direction == "forward" else f"{form} backward"
        taken.note(where.operation, told, next(z for z in tensors if z is not None))

    if failures.known(where, tensors):
        note("lean")
        return lean()
    try:
        found = kernel()
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # Checkpointing ends its second forward by an error, when the last tensor is saved.
        if interpreted() or type(error).__module__ == "torch.utils.checkpoint":
            raise
        failed = error
    else:
        note("kernel")
        return found
    found = lean()
    failures.add(where, tensors, failed)
    note("lean")
    return found
