"""Gate a map by channel and by pixel at once.

a_n = u . x_n + e_n                  pixel logits: a direction u per image, an offset e
s_n = sigmoid(a_n)                   or sigmoid(softmax_n(a)_n)
y_cn = x_cn (m_c + s_n)              sum, or
y_cn = x_cn m_c s_n                  product
"""

import functools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain


def pixel_logits(
    x: Float[Tensor, "b c n"],
    direction: Float[Tensor, "b c"] | None,
    offset: Float[Tensor, "b #n"] | None,
) -> Float[Tensor, "b n"]:
    """The logits a: `direction . x + offset`, of which one may be absent."""
    if direction is None:
        assert offset is not None, "a gate needs a direction or an offset"
        return offset.expand(-1, x.shape[2])
    logits = torch.einsum("bcn,bc->bn", x.to(direction.dtype), direction)
    return logits if offset is None else logits + offset


def pixel_gate(logits: Float[Tensor, "b n"], softmax: bool) -> Float[Tensor, "b n"]:
    """The gate s of every pixel."""
    return (logits.softmax(dim=-1) if softmax else logits).sigmoid()


def reference(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    direction: Float[Tensor, "b c"] | None,
    offset: Float[Tensor, "b #n"] | None,
    *,
    product: bool,
    softmax: bool,
) -> Float[Tensor, "b c n"]:
    """The gated map as the equations say."""
    spatial = pixel_gate(pixel_logits(x, direction, offset), softmax)[:, None]
    column = channel[:, :, None]
    return (x * (column * spatial if product else column + spatial)).to(x.dtype)


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    plain = functools.partial(reference, product=ctx.product, softmax=ctx.softmax)
    return plain, ctx.saved_tensors[:4]
