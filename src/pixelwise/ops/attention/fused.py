"""torch's own fused attention, which keeps no pairs either."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.ops.attention.plain import reference
from pixelwise.ops.running.backward import with_plain_gradients


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The attention, with second derivatives through the plain form.

    A traced graph has the kernel alone.
    """
    width = max(query.shape[1], value.shape[1])
    q, k, v = (_tokens(z, width)[:, None] for z in (query, key, value))
    if torch.compiler.is_compiling():
        seen = _kernel(q, k, v)
    else:
        seen = with_plain_gradients(_kernel, _by_tokens, q, k, v)
    return seen[:, 0, :, : value.shape[1]].mT


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
