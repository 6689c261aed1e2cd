"""Losses per pixel that leave ignored pixels out.

With the set C of pixels that count, their labels y_i and class weights w,

    multiclass   L = sum_C w[y_i] * -log softmax(logits_i)[y_i] / sum_C w[y_i]
    binary       L = sum_C w[y_i] * -log sigmoid(+-logit_i)     / sum_C w[y_i]

with + where y_i = 1. If C is empty, or all its weights are zero, L = 0 with gradient 0.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from pixelwise.errors import InputError, unknown

Loss = Callable[[Float[Tensor, "n k h w"], Int64[Tensor, "n h w"]], Float[Tensor, ""]]


def loss_for(task: str, *, class_weights: Tensor | None = None, ignore_index: int = 255) -> Loss:
    """The loss of a task, as a function of (logits (n, k, h, w), mask (n, h, w)).

    Computed in float32 whatever the logits' type.

    Args:
        task: "multiclass" (k logits) or "binary" (one logit, class 1 is positive).
        class_weights: One weight per class, two for binary; none: all classes count alike.
        ignore_index: Mask value of pixels that do not count.

    Raises:
        InputError: An unknown task, or negative, non-finite or two-dimensional weights.
    """
    losses = {"multiclass": _multiclass, "binary": _binary}
    if task not in losses:
        raise unknown("task", task, losses)
    if class_weights is not None:
        if class_weights.ndim != 1 or not (class_weights.isfinite() & (class_weights >= 0)).all():
            raise InputError(f"class weights must be finite and not negative: {class_weights}")
        if task == "binary" and len(class_weights) != 2:
            raise InputError(f"a binary task has two class weights, got {len(class_weights)}")

    def loss(logits: Float[Tensor, "n k h w"], mask: Int64[Tensor, "n h w"]) -> Float[Tensor, ""]:
        weights = None
        if class_weights is not None:
            weights = class_weights.to(logits.device, torch.float32)
        return losses[task](logits.float(), mask, weights, ignore_index)

    return loss


def _multiclass(logits: Tensor, mask: Tensor, weights: Tensor | None, ignore_index: int) -> Tensor:
    total = F.cross_entropy(
        logits, mask, weight=weights, ignore_index=ignore_index, reduction="sum"
    )
    counted = mask != ignore_index
    return total / _mass(mask, counted, weights)


def _binary(logits: Tensor, mask: Tensor, weights: Tensor | None, ignore_index: int) -> Tensor:
    counted = mask != ignore_index
    positive = torch.where(counted, mask, 0)
    share = counted.float() if weights is None else counted * weights[positive]
    total = F.binary_cross_entropy_with_logits(
        logits[:, 0], positive.float(), weight=share, reduction="sum"
    )
    return total / _mass(mask, counted, weights)


def _mass(mask: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    """What to divide by: the weight of all counted pixels, never zero."""
    if weights is None:
        return counted.sum().clamp(min=1)
    mass = (weights[torch.where(counted, mask, 0)] * counted).sum()
    return mass.clamp(min=torch.finfo(mass.dtype).tiny)


def class_weights_from_counts(counts: Sequence[int]) -> Float[Tensor, "k"]:
    """Rare classes weigh more, within bounds: w_c = 1 / ln(1.02 + f_c), 1.42 to 50.5.

    f_c is the share of class c among the pixels. A class that does not occur has weight 0.

    Source: Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic
    Segmentation", 2016, https://arxiv.org/abs/1606.02147, section 5.2.

    Raises:
        InputError: No pixel at all, or a negative count.
    """
    pixels = torch.tensor(counts, dtype=torch.float64)
    present = pixels > 0
    if (pixels < 0).any() or not present.any():
        raise InputError(f"class weights need pixel counts, got {list(counts)}")
    weights = 1 / torch.log(1.02 + pixels / pixels.sum())
    return torch.where(present, weights, 0.0).float()
