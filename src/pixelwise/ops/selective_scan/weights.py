"""What one place of a scan takes from every place, in closed form.

w_s = d_s sum_n C_tn B_sn exp(A_n (d_(s+1) + ... + d_t))     for s up to t, and 0 after it
"""

import torch
from jaxtyping import Float
from torch import Tensor


def scan_weights(
    step: Float[Tensor, "b l e"],
    rate: Float[Tensor, "e n"],
    write: Float[Tensor, "b l n"],
    read: Float[Tensor, "b l n"],
    place: int,
    backwards: bool,
) -> Float[Tensor, "b l e"]:
    """Weights of all inputs in the output at `place`, for each channel; one direction alone."""
    order = torch.arange(step.shape[1], device=step.device)[:, None]
    before = order >= place if backwards else order <= place
    seen = step * before
    # Sums start at `place`, so that they are exact where decays are not small.
    sums = seen.cumsum(1) if backwards else seen.flip(1).cumsum(1).flip(1)
    gap, found = sums - seen, torch.zeros_like(step)
    own = read.select(1, place)[:, None] * write  # (b, l, n)
    for j in range(rate.shape[1]):
        found = found + own[:, :, j, None] * (gap * rate[:, j]).exp()
    return found * seen
