"""Logits whose probabilities are the mean of those of several logits."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def mean_softmax(
    views: Sequence[Float[Tensor, "n k h w"]],
) -> Float[Tensor, "n k h w"]:
    """Their softmax over k is the mean of that of the views."""
    logs = torch.stack([view.float().log_softmax(dim=1) for view in views])
    return logs.logsumexp(dim=0) - math.log(len(views))


def mean_sigmoid(
    views: Sequence[Float[Tensor, "n k h w"]],
) -> Float[Tensor, "n k h w"]:
    """Their sigmoid is the mean of that of the views."""
    wide = torch.stack([view.float() for view in views])
    yes, no = (torch.nn.functional.logsigmoid(one).logsumexp(dim=0) for one in (wide, -wide))
    return yes - no
