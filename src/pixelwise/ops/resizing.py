"""Bilinear resizing that keeps the corners, as numbers: where a pixel lies, and what it takes.

Pixel i of n' samples the position i (n - 1) / (n' - 1) of n; a pixel that lies between two takes
from each of them one minus its distance. `torch.nn.functional.interpolate` does it.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def neighbours(place: int, side: int, other: int) -> tuple[int, int]:
    """The pixels of a map of `other` next to a pixel of one of `side`; one twice if right on it."""
    whole, part = divmod(place * (other - 1), max(1, side - 1))
    return whole, whole + (part > 0)


def shares(side: int, other: int, like: Tensor) -> Float[Tensor, "other side"]:
    """What each of `other` pixels takes from each of `side`, in the type of `like`."""
    pixels = torch.arange(side, dtype=like.dtype, device=like.device)
    places = torch.arange(other, dtype=like.dtype, device=like.device)
    position = places * ((side - 1) / max(1, other - 1))
    return (1 - (position[:, None] - pixels).abs()).clamp(min=0)
