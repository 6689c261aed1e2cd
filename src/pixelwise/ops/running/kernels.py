"""Triton kernels: the module `kernel` of an operation that has one, loaded when it is first run."""

import functools
import importlib
import importlib.util
import logging
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

HALF_OR_SINGLE = (torch.float32, torch.float16, torch.bfloat16)


def available(x: Tensor) -> bool:
    """Whether the kernels take `x`: Triton is installed, and x is on CUDA and not float64.

    A tensor without memory, as `cost.predict` has them, goes the lean way.
    """
    real = not isinstance(x, FakeTensor)
    return x.is_cuda and real and x.dtype in HALF_OR_SINGLE and installed()


@functools.cache
def installed() -> bool:
    """Whether Triton can be imported."""
    return importlib.util.find_spec("triton") is not None


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python, on the CPU: with TRITON_INTERPRET=1."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def either(form: str, operation: str, lean: Callable[..., Any]) -> Callable[..., Any]:
    """The `apply` of the operation's kernel where `form` is "kernel", else `lean`.

    Both take the same arguments. Where Triton cannot build the kernel on this machine, a warning
    says so once and `lean` runs in its place.
    """
    if form != "kernel":
        return lean

    def run(*arguments: Any) -> Any:
        if operation in _broken or arguments[0].dtype not in HALF_OR_SINGLE:
            return lean(*arguments)
        try:
            return importlib.import_module(f"pixelwise.ops.{operation}.kernel").apply(*arguments)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if interpreted():
                raise
            _broken.add(operation)
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            _log.warning("the Triton kernel of %s does not run here (%s)", operation, told)
            return lean(*arguments)

    return run


_broken: set[str] = set()
_log = logging.getLogger(__name__)
