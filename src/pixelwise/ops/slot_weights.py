"""Weights of the slots of a memory: a softmax over pixels, then shares of the slots in a pixel.

    p_sn = exp(l_sn) / sum_m exp(l_sm)          where slot s looks
    a_sn = p_sn / (e + sum_r p_rn)              which slots pixel n takes

With many pixels p is small: sums below 1e-8 are usual, which float16 does not have and to which e
matters. So it is taken in logarithms, in the type of statistics,

    a_sn = softmax_s(log p_sn) sigmoid(log sum_r p_rn - log e)
"""

import math

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.precision import full_precision, statistics_dtype


def slot_weights(
    logits: Float[Tensor, "b heads s n"], epsilon: float
) -> Float[Tensor, "b heads s n"]:
    """Shares of the slots (rows) in every pixel; without `epsilon` they sum to one."""
    with full_precision(logits):
        shares = logits.to(statistics_dtype(logits)).log_softmax(dim=3)
        weights = shares.softmax(dim=2)
        if epsilon == 0.0:
            return weights
        total = shares.logsumexp(dim=2, keepdim=True)
        return weights * (total - math.log(epsilon)).sigmoid()
