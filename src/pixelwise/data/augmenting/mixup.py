"""Two pictures added, each with its weight.

    image = lambda a + (1 - lambda) b,   lambda ~ Beta(alpha, alpha), at least 1/2

Zhang et al. mix the labels likewise, which is the loss lambda L(a) + (1 - lambda) L(b). Masks of
classes have no values in between: here each pixel takes the class of a with chance lambda, else
that of b. A loss that is a mean over pixels then is the published one in expectation, and losses of
whole regions (dice, lovasz, boundary) are so in tendency. Values are mixed as published.

Source: Zhang, Cisse, Dauphin & Lopez-Paz, "mixup", 2018, https://arxiv.org/abs/1710.09412.
"""

import numpy as np
import torch

from pixelwise.data.augmenting.mixing import Crop


def mixed(one: Crop, other: Crop, alpha: float, rng: np.random.Generator) -> Crop:
    """Both crops in one."""
    share = float(rng.beta(alpha, alpha))
    share = max(share, 1 - share)
    image = share * one[0] + (1 - share) * other[0]
    if one[1].is_floating_point():
        return image, share * one[1] + (1 - share) * other[1]
    first = torch.from_numpy(rng.uniform(size=image.shape[1:]) < share)
    return image, torch.where(first, one[1], other[1])
