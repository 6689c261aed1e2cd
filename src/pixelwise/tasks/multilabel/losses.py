"""Losses of labels that overlap, over the pixels where a label is known.

With the probability p = sigmoid(logit) of a label, its truth y (0 or 1), p_y = p where y = 1 and
1 - p where y = 0, and the weight w_y of the label's two sides (1 unless given),

    bce     sum w_y (-ln p_y) / sum w_y
    focal   sum w_y (1 - p_y)^2 (-ln p_y) / sum w_y
    dice    mean over the labels with a known pixel of 1 - (2 sum p y + 1) / (sum p + sum y + 1)
    bce_dice    bce + dice

Sums run over a batch. Sources: Lin et al., "Focal Loss for Dense Object Detection", 2017,
https://arxiv.org/abs/1708.02002, gamma = 2 without alpha; Milletari et al., "V-Net", 2016,
https://arxiv.org/abs/1606.04797, with sums in place of squares.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

LOSSES = {
    "bce": "binary cross-entropy of each label",
    "focal": "the same, of which pixels that are right already count little",
    "dice": "overlap of each label as a whole, whatever its size",
    "bce_dice": "the sum of bce and dice",
}
UNWEIGHTED = ("dice",)
"""Losses that count all labels alike already."""


def label_loss(
    name: str,
    logits: Float[Tensor, "n k h w"],
    truth: Float[Tensor, "n k h w"],
    known: Bool[Tensor, "n k h w"],
    weights: Float[Tensor, "2 k"] | None = None,
) -> Float[Tensor, ""]:
    """The loss of that name; 0 with gradient 0 where nothing is known.

    Args:
        name: A key of `LOSSES`.
        logits: Per label.
        truth: 0 or 1; anything where it is not known.
        known: Where it is.
        weights: Per label of pixels without it, and with it.
    """
    truth = torch.where(known, truth, 0.0)
    total = logits.new_zeros(())
    if name != "dice":
        total = total + _pixels(logits, truth, known, weights, focal=name == "focal")
    if name in ("dice", "bce_dice"):
        total = total + _dice(logits, truth, known)
    return total


def occurrence_loss(
    logits: Float[Tensor, "n k"], on: Bool[Tensor, "n k h w"], known: Bool[Tensor, "n k h w"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of "label k occurs in picture n", as `losses.presence_loss`.

    A label of which too little is known to tell does not count.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    occurs = on.flatten(2).any(dim=2)
    counted = occurs | known.flatten(2).all(dim=2)
    each = F.binary_cross_entropy_with_logits(wide, occurs.to(wide), reduction="none")
    return torch.where(counted, each, 0.0).sum() / counted.sum().clamp(min=1)


def _pixels(
    logits: Tensor, truth: Tensor, known: Tensor, weights: Tensor | None, *, focal: bool
) -> Tensor:
    each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    if focal:
        each = each * -torch.expm1(-each) * -torch.expm1(-each)  # 1 - p_y = 1 - exp(-each)
    share = known.to(each.dtype)
    if weights is not None:
        off, on = weights.to(each)[:, None, :, None, None]
        share = share * torch.where(truth > 0, on, off)
    return (each * share).sum() / share.sum().clamp(min=torch.finfo(each.dtype).tiny)


def _dice(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    axes = (0, 2, 3)
    chance = torch.where(known, logits.sigmoid(), 0.0)
    both, either = (chance * truth).sum(axes), (chance + truth).sum(axes)
    counted = known.any(dim=3).any(dim=2).any(dim=0)
    each = torch.where(counted, 1 - (2 * both + 1) / (either + 1), 0.0)
    return each.sum() / counted.sum().clamp(min=1)
