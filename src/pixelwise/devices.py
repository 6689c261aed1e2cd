"""Where a network runs."""

import torch

from pixelwise.errors import InputError, unknown


def pick_device(name: str) -> str:
    """`auto` is the GPU where there is one; `cuda` without one is an error."""
    if name not in ("auto", "cpu", "cuda"):
        raise unknown("device", name, ("auto", "cpu", "cuda"))
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' was asked for, but PyTorch sees no GPU; take 'cpu'")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
