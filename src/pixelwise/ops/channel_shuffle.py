"""Shuffle the channels of a map as two halves, or more parts, of a pack of cards.

    y_(g j + i) = x_(j + i c / g)       j < c / g,  i < g

so that channels which were c / g apart lie side by side.
"""

from jaxtyping import Float
from torch import Tensor


def channel_shuffle(x: Float[Tensor, "b c h w"], groups: int) -> Float[Tensor, "b c h w"]:
    """The channels of `groups` equal parts, one of each in turn."""
    b, c, h, w = x.shape
    return x.reshape(b, groups, c // groups, h, w).transpose(1, 2).reshape(x.shape)
