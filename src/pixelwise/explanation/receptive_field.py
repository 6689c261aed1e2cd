"""The effective receptive field of the asked pixel: on what its logits depend, on this picture.

    E[p] = mean |d(v . logits at the pixel) / dx[:, p]|^2         v: random signs

as in `pixelwise.receptive`. It says what has an influence, not what the influence is for, and it is
no attention: nothing in the network weighs pixels by it.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.cost import measured
from pixelwise.explanation.answer import Answer
from pixelwise.explanation.gradients import check_gradient, gradients_of
from pixelwise.explanation.result import Reach, ReceptiveField
from pixelwise.receptive import Energy, gradient_energy

DRAWS = 4
"""Draws of the signs, each a forward and a backward pass."""
SHARES = (0.5, 0.9)
WHAT = "receptive field"


def receptive_field(
    answer: Answer, image: Float[Tensor, "1 c h w"], *, whole: bool = False
) -> ReceptiveField:
    """The gradient energy of the asked pixel's logits.

    Args:
        answer: Gives the logits at the pixel; the network is in eval mode.
        image: The picture.
        whole: Whether the network answers for the picture as a whole, and not for a pixel.

    Raises:
        NoGradient: The network has no gradient, or none that is finite.
    """

    def run(x: Tensor) -> Tensor:
        return answer.logits(x)[:, :, None, None]

    with gradients_of(WHAT):
        done = measured(lambda: gradient_energy(run, image, [(0, 0)] * DRAWS), image.device)
    energy = done.result.mean(0)
    check_gradient(WHAT, energy, image.dtype)
    energy /= energy.sum()
    found = Energy(answer.at, energy.numpy())
    return ReceptiveField(
        energy.float(),
        0.0 if whole else 1 - found.elsewhere,
        tuple(_fewest(energy, share) if whole else _circle(found, share) for share in SHARES),
        done.seconds,
        done.peak_bytes,
    )


def _circle(energy: Energy, share: float) -> Reach:
    radius = energy.radius(share)
    if math.isnan(radius):
        return Reach(share, None, 1 / energy.values.size)
    rows, columns = np.indices(energy.values.shape)
    inside = np.hypot(rows - energy.at[0], columns - energy.at[1]) <= radius
    return Reach(share, radius, float(inside.mean()))


def _fewest(energy: Float[Tensor, "h w"], share: float) -> Reach:
    held = energy.flatten().sort(descending=True).values.cumsum(0)
    count = int(torch.searchsorted(held, share * held[-1] * (1 - 1e-12))) + 1
    return Reach(share, None, count / energy.numel())
