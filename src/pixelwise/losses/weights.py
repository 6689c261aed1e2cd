"""Class weights: rare classes weigh more."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError


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
