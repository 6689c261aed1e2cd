"""The boundary loss: probability times signed distance to a class's border.

    phi(i) = d(i, class)                    outside of the class
    phi(i) = 1 - d(i, other classes)        inside: 0 along its border, negative further in
    L = mean over the pixels that count and all classes of p_i phi(i)

Distances are in pixels, picture by picture, to pixels that count. A class that is absent from a
picture, or fills it, has no border and phi = 0. L can be negative; it is meant to be added to
another loss with a small weight: "dice+0.01*boundary".

Source: Kervadec et al., "Boundary loss for highly unbalanced segmentation", 2018,
https://arxiv.org/abs/1812.07032.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.losses.batch import Batch
from pixelwise.losses.distances import distances
from pixelwise.together import total


def boundary(batch: Batch) -> Tensor:
    """Mean of probability times signed distance."""
    known = batch.known.expand_as(batch.truth)
    each = torch.where(known, batch.probabilities * signed_distances(batch), 0.0)
    return total(each.sum()) / total(known.sum()).clamp(min=1)


@torch.no_grad()
def signed_distances(batch: Batch) -> Float[Tensor, "n k h w"]:
    """The phi of every class."""
    truth = batch.truth
    found = _each(truth)
    if batch.task == "multiclass":  # what is nearest of the others is nearest of one of them
        others = found.masked_fill(truth, torch.inf).amin(dim=1, keepdim=True)
    else:
        others = _each(batch.known & ~truth)
    signed = torch.where(truth, 1 - others, found)
    return torch.where(signed.isfinite(), signed, 0.0)


def _each(inside: Tensor) -> Tensor:
    """Distances to each class; inf where a picture has none of it."""
    found = torch.full(inside.shape, torch.inf, device=inside.device)
    present = inside.flatten(2).any(dim=2)
    found[present] = distances(inside[present])
    return found
