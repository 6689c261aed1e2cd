"""Build a module on a device, in a type."""

import contextlib
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.base import KINDS

Made = TypeVar("Made", bound=nn.Module)


def made(
    build: Callable[[], Made], device: torch.device | str | None, dtype: torch.dtype | None
) -> Made:
    """What `build` makes; None is torch's default device, and its default type.

    Raises:
        InputError: There is no such device here, or the type is not one of real numbers.
    """
    if dtype is not None and dtype not in KINDS:
        raise InputError(
            f"dtype={dtype!r}: must be torch.float64, torch.float32, torch.bfloat16 or"
            " torch.float16; give one of them, or leave dtype out"
        )
    if device is not None:
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            raise InputError(
                f"device={device!r}: PyTorch has none of this name here; give 'cpu', or leave"
                " device out"
            ) from error
    with contextlib.nullcontext() if device is None else torch.device(device):
        return build().to(dtype=dtype)
