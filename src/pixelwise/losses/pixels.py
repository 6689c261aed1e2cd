"""Losses that are a mean over pixels.

With the set C of pixels that count, their labels y_i, class weights w and the probability p_i of
the true class,

    l_i = -log p_i                                       "ce"
    l_i = (1 - p_i)^gamma (-log p_i)                     "focal"
    L = sum_C w[y_i] l_i / sum_C w[y_i]

Label smoothing with e: (1 - e) of the loss above, and e / k of that of every class, weighted by
its own w. "ohem" (online hard example mining) takes the hard pixels alone: those of C whose true
class has a probability below the threshold, or the |C| // 16 with the largest l_i if those are
more. If no pixel is left, or all have the weight zero, L = 0 with gradient 0. For multilabel, C
holds every label of every pixel.

Sources:
    focal: Lin et al., "Focal Loss for Dense Object Detection", 2017,
    https://arxiv.org/abs/1708.02002, of the softmax where there are several classes; alpha is left
    to the class weights.
    ohem: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
    Mining", 2016, https://arxiv.org/abs/1604.03540.
    smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
    https://arxiv.org/abs/1512.00567.
Reference: ohem: github.com/CoinCheung/BiSeNet, lib/ohem_ce_loss.py (MIT), commit 6b4b67a.
Differences: class weights, binary tasks, and 0 where it gives nan, since it has no pixel to take.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.batch import Batch, mean
from pixelwise.together import gathered, total


def cross_entropy(batch: Batch, *, smoothing: float = 0.0) -> Tensor:
    """All pixels alike."""
    if smoothing == 0:
        return mean(batch.errors, batch.share)
    by_class = _all_classes(batch, batch.share > 0)
    tiny = torch.finfo(by_class.dtype).tiny
    plain = (batch.errors * batch.share).sum()
    mixed = total((1 - smoothing) * plain + smoothing * by_class)
    return mixed / total(batch.share.sum()).clamp(min=tiny)


def focal(batch: Batch, *, gamma: float = 2.0) -> Tensor:
    """Pixels weigh less the surer they are of the true class."""
    unsure = -torch.expm1(-batch.errors)
    least = torch.finfo(unsure.dtype).eps  # a root has no gradient at 0
    return mean(unsure.clamp(min=least) ** gamma * batch.errors, batch.share)


def ohem(batch: Batch, *, threshold: float = 0.7) -> Tensor:
    """Hard pixels alone."""
    each, share = batch.errors, batch.share
    counted = share > 0
    hard = counted & (each > -math.log(threshold))
    least = int(total(counted.sum())) // 16
    if int(total(hard.sum())) >= least:
        return mean(each, share * hard)
    each, share = gathered(torch.where(counted, each, -1).flatten()), gathered(share.flatten())
    largest = each.topk(least).indices
    each, share = each[largest], share[largest]
    return (each * share).sum() / share.sum().clamp(min=torch.finfo(each.dtype).tiny)


def _all_classes(batch: Batch, counted: Tensor) -> Tensor:
    """Sum over pixels of the mean over classes of weight times -log probability."""
    if batch.task == "multiclass":
        each = -batch.logits.log_softmax(dim=1)
        weights = each.new_ones(each.shape[1]) if batch.weights is None else batch.weights
        return ((each * weights[:, None, None]).mean(dim=1) * counted).sum()
    logits = batch.logits[:, 0] if batch.task == "binary" else batch.logits
    negative, positive = F.softplus(logits), F.softplus(-logits)
    if batch.weights is None:
        each = (negative + positive) / 2
    elif batch.task == "binary":
        each = (batch.weights[0] * negative + batch.weights[1] * positive) / 2
    else:
        off, on = batch.sides
        each = (off * negative + on * positive) / 2
    return (each * counted).sum()
