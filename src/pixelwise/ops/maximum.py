"""The largest value along an axis.

torch has two: `max` keeps the position of the largest, to which alone the gradient goes, and
`amax`, which is several times faster along an axis that is not the last one, shares the gradient
among equals. Equals are common after a ReLU.
"""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import choice


def reference(x: Float[Tensor, "b c n"], dim: int) -> Float[Tensor, "b m"]:
    """The largest values along `dim`; the gradient goes to the first of equals."""
    return x.max(dim=dim).values


def maximum(x: Float[Tensor, "b c n"], dim: int) -> Float[Tensor, "b m"]:
    """The largest values along `dim`; positions are looked for only where a gradient needs them."""
    if choice.form("maximum", x) == "lean":
        return x.amax(dim=dim)
    return reference(x, dim)
