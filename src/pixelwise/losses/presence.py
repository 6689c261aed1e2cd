"""Which classes a picture holds: a loss beside that of the pixels."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pixelwise.together import mean, total


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
    each = F.binary_cross_entropy_with_logits(logits.to(wide), wanted, reduction="none")
    return mean(each)


def occurrence_loss(
    logits: Float[Tensor, "n k"], on: Bool[Tensor, "n k h w"], known: Bool[Tensor, "n k h w"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of "label k occurs in picture n", for labels that overlap.

    A label of which too little is known to tell does not count.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    occurs = on.flatten(2).any(dim=2)
    counted = occurs | known.flatten(2).all(dim=2)
    each = F.binary_cross_entropy_with_logits(wide, occurs.to(wide), reduction="none")
    return total(torch.where(counted, each, 0.0).sum()) / total(counted.sum()).clamp(min=1)
