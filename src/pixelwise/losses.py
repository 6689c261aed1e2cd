"""Losses per pixel that leave ignored pixels out.

With the set C of pixels that count, their labels y_i and class weights w,

    l_i = -log softmax(logits_i)[y_i]            multiclass
    l_i = -log sigmoid(+-logit_i)                binary, with + where y_i = 1
    L = sum_C w[y_i] l_i / sum_C w[y_i]          "cross_entropy"

"ohem" (online hard example mining) takes the hard pixels alone: those of C whose true class has a
probability below 0.7, or the |C| // 16 with the largest l_i if those are more. If no pixel is left,
or all have the weight zero, L = 0 with gradient 0.

Source of ohem: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
Mining", 2016, https://arxiv.org/abs/1604.03540.
Reference: github.com/CoinCheung/BiSeNet, lib/ohem_ce_loss.py (MIT), commit 6b4b67a. Differences:
class weights, binary tasks, and 0 where it gives nan, since it has no pixel to take.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from pixelwise.checks import one_of
from pixelwise.errors import InputError

Loss = Callable[[Float[Tensor, "n k h w"], Int64[Tensor, "n h w"]], Float[Tensor, ""]]


PIXEL_LOSSES: Mapping[str, str] = {
    "cross_entropy": "all pixels alike",
    "ohem": "hard pixels alone: those whose class is improbable",
}
"""The losses by name, and which pixels they take."""


def loss_for(
    task: str,
    *,
    loss: str = "cross_entropy",
    threshold: float = 0.7,
    class_weights: Tensor | None = None,
    ignore_index: int = 255,
) -> Loss:
    """The loss of a task, as a function of (logits (n, k, h, w), mask (n, h, w)).

    Computed in float32 at least, whatever the logits' type.

    Args:
        task: "multiclass" (k logits) or "binary" (one logit, class 1 is positive).
        loss: A key of `PIXEL_LOSSES`.
        threshold: Pixels whose class is less probable are hard; for "ohem".
        class_weights: One weight per class, two for binary; none: all classes count alike.
        ignore_index: Mask value of pixels that do not count.

    Raises:
        InputError: An unknown task or loss, a threshold that is no probability, or negative,
            non-finite or two-dimensional weights.
    """
    tasks = {"multiclass": _multiclass, "binary": _binary}
    one_of(tuple(tasks), task=task)
    one_of(tuple(PIXEL_LOSSES), loss=loss)
    if not 0 < threshold <= 1:
        raise InputError(f"threshold={threshold}: must be above 0 and at most 1; 0.7 is usual")
    if class_weights is not None:
        if class_weights.ndim != 1 or not (class_weights.isfinite() & (class_weights >= 0)).all():
            raise InputError(
                f"class_weights={class_weights.tolist()}: must be one finite number, 0 or more,"
                " per class; correct them"
            )
        if task == "binary" and len(class_weights) != 2:
            raise InputError(
                f"class_weights={class_weights.tolist()}: must be two for task 'binary'; give both"
            )

    def mean(logits: Float[Tensor, "n k h w"], mask: Int64[Tensor, "n h w"]) -> Float[Tensor, ""]:
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        counted = mask != ignore_index
        each = tasks[task](logits, torch.where(counted, mask, 0))
        share = counted.to(each.dtype)
        if class_weights is not None:
            weights = class_weights.to(each)
            share = share * weights[torch.where(counted, mask, 0)]
        if loss == "ohem":
            each, share = _hard(each, share, threshold)
        return (each * share).sum() / share.sum().clamp(min=torch.finfo(each.dtype).tiny)

    return mean


def _multiclass(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


def _binary(logits: Tensor, labels: Tensor) -> Tensor:
    labels = labels.to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits[:, 0], labels, reduction="none")


def _hard(each: Tensor, share: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The losses and weights of the hard pixels among those with a weight."""
    counted = share > 0
    hard = counted & (each > -math.log(threshold))
    least = int(counted.sum()) // 16
    if int(hard.sum()) >= least:
        return each, share * hard
    largest = torch.where(counted, each, -1).flatten().topk(least).indices
    return each.flatten()[largest], share.flatten()[largest]


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
        raise InputError(
            f"counts={list(counts)}: must be pixels per class, not all 0; count the training masks"
        )
    weights = 1 / torch.log(1.02 + pixels / pixels.sum())
    return torch.where(present, weights, 0.0).float()


def presence_loss(
    logits: Float[Tensor, "n k"], mask: Int64[Tensor, "n h w"], *, ignore_index: int = 255
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of "class k occurs in picture n", over all n and k.

    A single logit stands for class 1 (a binary task). Computed in float32 at least.

    Source: Zhang et al., "Context Encoding for Semantic Segmentation", 2018, the SE-loss of
    https://arxiv.org/abs/1803.08904.
    """
    pictures, k = logits.shape
    classes = max(k, 2)
    counted = (mask != ignore_index) & (mask >= 0) & (mask < classes)
    present = logits.new_zeros(pictures, classes + 1)  # the last is no class
    present.scatter_(1, torch.where(counted, mask, classes).flatten(1), 1.0)
    wide = torch.promote_types(logits.dtype, torch.float32)
    wanted = present[:, classes - k : classes].to(wide)
    return F.binary_cross_entropy_with_logits(logits.to(wide), wanted)
