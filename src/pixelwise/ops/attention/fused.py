"""torch's own fused attention, which keeps no pairs either."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.ops.attention.plain import reference
from pixelwise.ops.running.backward import with_plain_gradients
from pixelwise.ops.running.precision import HALF_TYPES

FLASH = 256
"""Channels at most of torch's flash kernel."""


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The attention, with second derivatives through the plain form.

    A traced graph has the kernel alone.
    """
    deep, wide = widths(query.shape[1], value.shape[1], value.dtype, value.device.type)
    q, k, v = (
        _tokens(z, width)[:, None] for z, width in ((query, deep), (key, deep), (value, wide))
    )
    if torch.compiler.is_compiling():
        seen = _kernel(q, k, v)
    else:
        seen = with_plain_gradients(_kernel, _by_tokens, q, k, v)
    return seen[:, 0, :, : value.shape[1]].mT


def widths(d: int, e: int, dtype: torch.dtype, device: str) -> tuple[int, int]:
    """Up to how many channels keys and values are filled, for a kernel to take them.

    Those for CPUs, and the flash kernel, which is for half types and up to 256 channels, take equal
    widths. For float32, and for more channels, NVIDIA's cards have the efficient kernel, which
    takes any that fill 16 bytes. All of it by reckoning: nothing was timed on a GPU.
    """
    widest = max(d, e)
    flash = dtype in HALF_TYPES and widest <= FLASH
    efficient = device == "cuda" and torch.version.hip is None and dtype != torch.float64
    if flash or not efficient:
        return widest, widest
    step = 16 // dtype.itemsize
    return -(-d // step) * step, -(-e // step) * step


def _kernel(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)


def _by_tokens(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The plain form of what the kernel is given: (b, 1, n, width), channels last."""
    return reference(query[:, 0].mT, key[:, 0].mT, value[:, 0].mT).mT[:, None]


def _tokens(z: Tensor, width: int) -> Tensor:
    """Channels last, zeros up to `width`: else all pairs are computed, as in the plain form."""
    tokens = z.mT
    if z.shape[1] < width:
        tokens = F.pad(tokens, (0, width - z.shape[1]))
    if tokens.stride(-1) == 1:
        return tokens
    return tokens.clone(memory_format=torch.contiguous_format)
