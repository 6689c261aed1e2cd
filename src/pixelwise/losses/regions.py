"""Losses of the overlap between a class and where it is predicted, over the whole batch.

With the probability p_i of a class at pixel i, its truth t_i in {0, 1}, and sums over the pixels of
the batch that count,

    TP = sum p_i t_i    FP = sum p_i (1 - t_i)    FN = sum (1 - p_i) t_i
    1 - (2 TP + s) / (2 TP + FP + FN + s)               "dice", s = smooth
    1 - TP / (TP + alpha FP + beta FN)                  "tversky"
    (1 - TP / (TP + alpha FP + beta FN))^(1 / gamma)    "focal_tversky"

A loss is the mean over the classes that occur in the batch; for binary that is class 1 alone. If
none does, it is 0 with gradient 0. Every class weighs alike, so there are no class weights.

Sources:
    dice: Milletari et al., "V-Net", 2016, https://arxiv.org/abs/1606.04797, with p and t in place
    of their squares, as most do. segmentation_models_pytorch halves both parts of the ratio, so its
    smooth is half of this one, and divides by all classes, absent ones too.
    tversky: Salehi et al., "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks", 2017, https://arxiv.org/abs/1706.05721.
    focal_tversky: Abraham and Khan, "A Novel Focal Tversky Loss Function with Improved Attention
    U-Net for Lesion Segmentation", 2018, https://arxiv.org/abs/1810.07842; its alpha and beta are
    the other way round, its sum over classes is a mean here.
"""

import torch
from torch import Tensor

from pixelwise.losses.batch import Batch, mean_of_present
from pixelwise.together import total

LEAST = 1e-7
"""A ratio's denominator and a power's base are no smaller."""


def dice(batch: Batch, *, smooth: float = 0.0) -> Tensor:
    """Twice the overlap over both areas."""
    both, false, missed, present = _overlap(batch)
    whole = (2 * both + false + missed + smooth).clamp(min=LEAST)
    return mean_of_present(1 - (2 * both + smooth) / whole, present)


def tversky(batch: Batch, *, alpha: float = 0.3, beta: float = 0.7) -> Tensor:
    """Overlap, with false pixels and missed ones weighed apart."""
    losses, present = _tversky(batch, alpha, beta)
    return mean_of_present(losses, present)


def focal_tversky(
    batch: Batch, *, alpha: float = 0.3, beta: float = 0.7, gamma: float = 4 / 3
) -> Tensor:
    """Tversky, more of it from classes that are hardly found."""
    losses, present = _tversky(batch, alpha, beta)
    return mean_of_present(losses.clamp(min=LEAST) ** (1 / gamma), present)


def _tversky(batch: Batch, alpha: float, beta: float) -> tuple[Tensor, Tensor]:
    both, false, missed, present = _overlap(batch)
    return 1 - both / (both + alpha * false + beta * missed).clamp(min=LEAST), present


def _overlap(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Per class: found, false and missed pixels, and whether it occurs."""
    axes = (0, 2, 3)
    truth = total(batch.truth.sum(dim=axes))
    both = total(torch.where(batch.truth, batch.probabilities, 0.0).sum(dim=axes))
    predicted = total(torch.where(batch.known, batch.probabilities, 0.0).sum(dim=axes))
    return both, predicted - both, truth - both, truth > 0
