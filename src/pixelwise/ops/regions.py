"""Describe the regions of a picture, given rough logits of where they are.

P_r = softmax_n(scale l_rn)        where region r lies
f_r = sum_n P_rn x_n               what it looks like
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def region_maps(guide: Float[Tensor, "b k h w"], scale: float = 1.0) -> Float[Tensor, "b k n"]:
    """Where each region lies: the softmax of its logits over pixels, in the type of statistics."""
    with full_precision(guide):
        return _maps(guide, scale)


def of_its_size(guide: Float[Tensor, "b k i j"], x: Float[Tensor, "b c h w"]) -> None:
    """Refuse a guide of another height or width than x.

    Raises:
        InputError: It is.
    """
    if guide.shape[2:] != x.shape[2:]:
        raise InputError(
            f"guide={tuple(guide.shape)}: must have the {x.shape[2]} rows and {x.shape[3]} columns "
            "of the features; resize it"
        )


def gather_regions(
    x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b k i j"], scale: float = 1.0
) -> Float[Tensor, "b c k"]:
    """What each region looks like: the mean of its pixels, weighed by where it lies.

    Raises:
        InputError: The guide is not of the height and width of x.
    """
    of_its_size(guide, x)
    with full_precision(x):
        weights = _maps(guide, scale)
        return torch.bmm(x.flatten(2).to(weights.dtype), weights.mT).to(x.dtype)


def _maps(guide: Tensor, scale: float) -> Tensor:
    return (scale * guide.flatten(2).to(statistics_dtype(guide))).softmax(dim=-1)
