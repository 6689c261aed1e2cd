"""Gate a map by channel and by pixel jointly, beside the map itself.

l_cn = m_c s_n                       product, or
l_cn = m_c + s_n                     sum
y_cn = x_cn (1 + sigmoid(l_cn))
"""

import functools
from typing import Any

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain


def joint_weights(
    channel: Float[Tensor, "b c"], spatial: Float[Tensor, "b n"], *, product: bool
) -> Float[Tensor, "b c n"]:
    """The sigmoid of the formula."""
    column, row = channel[:, :, None], spatial[:, None]
    return (column * row if product else column + row).sigmoid()


def reference(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    spatial: Float[Tensor, "b n"],
    *,
    product: bool,
) -> Float[Tensor, "b c n"]:
    """The gated map as the equations say."""
    return (x * (1 + joint_weights(channel, spatial, product=product))).to(x.dtype)


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    return functools.partial(reference, product=ctx.product), ctx.saved_tensors
