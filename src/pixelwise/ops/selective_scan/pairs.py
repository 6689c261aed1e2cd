"""A linear recurrence by pairs, in place: about three operations an element, and no loop over them.

For h_t = a_t h_(t-1) + w_t two places after each other are one place of half as many, with
a = a_2 a_1 and w = w_2 + a_2 w_1. Once those are solved, each place between takes one step more.
Only products of the multipliers are formed: with decays, at most 1, nothing overflows.
"""

from jaxtyping import Float
from torch import Tensor


def scan(a: Float[Tensor, "b l n e"], w: Float[Tensor, "b l n e"], backwards: bool) -> None:
    """Write h over `w`; `a` is used up. Backwards, h_t = a_t h_(t+1) + w_t."""
    length = w.shape[1]
    if length < 2:
        return
    odd = length % 2
    if backwards:
        pairs, others = slice(odd, None, 2), slice(odd + 1, None, 2)
        between, known = slice(1 - odd, length - 1, 2), slice(2 - odd, None, 2)
    else:
        pairs, others = slice(1, None, 2), slice(0, length - odd, 2)
        between, known = slice(2, None, 2), slice(1, length - 1, 2)
    w[:, pairs].addcmul_(a[:, pairs], w[:, others])
    if length > 3:
        a[:, pairs].mul_(a[:, others])
        scan(a[:, pairs], w[:, pairs], backwards)
    if length > 2:
        w[:, between].addcmul_(a[:, between], w[:, known])
