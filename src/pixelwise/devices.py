"""Where a network runs: on the processor or on one accelerator."""

import os
import re

from pixelwise.errors import InputError

DEVICES = "auto, cpu, cuda, cuda:N, mps or xpu"


def check_device(device: str) -> None:
    """Raise an InputError where `device` is not a name of one; needs no torch."""
    if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", device):
        raise InputError(f"device={device!r}: must be {DEVICES}; use one of them")


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pick_device(device: str) -> str:
    """The device to run on; `auto` is a CUDA GPU where there is one, else the CPU.

    `mps` (Apple) and `xpu` (Intel) have to be asked for, since nothing here was measured on them.

    Raises:
        InputError: There is no such device, or not here.
    """
    import torch

    check_device(device)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    count = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "xpu": torch.xpu.device_count() if torch.xpu.is_available() else 0,
    }[kind]
    if not count:
        raise InputError(f"device={device!r}: PyTorch sees none here; take 'cpu'")
    if int(number or 0) >= count:
        raise InputError(f"device={device!r}: there are {count}, numbered from 0; take another")
    return device
