"""Losses of values, over the pixels where the truth is known (not NaN).

With the prediction p, the truth t and the standard deviation s of the training values,

    l1      mean |p - t| / s
    huber   mean of e^2 / 2 up to e = 1, then e - 1/2,  e = |p - t| / s
    l2      mean ((p - t) / s)^2
    log     mean |d|,  d = ln p - ln t
    scale_invariant_log     mean d^2 - (mean d)^2 / 2 of each picture and band, then their mean

The last does not count half of a factor that all pixels share. Source: Eigen, Puhrsch & Fergus,
"Depth Map Prediction from a Single Image using a Multi-Scale Deep Network", 2014,
https://arxiv.org/abs/1406.2283, equation 4 with lambda = 1/2.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from pixelwise.together import total

LOSSES = {
    "l1": "absolute error",
    "huber": "squared error up to one standard deviation, absolute beyond",
    "l2": "squared error",
    "log": "absolute error of the logarithms, for values above 0",
    "scale_invariant_log": "error of the logarithms up to half of a common factor (depth)",
}
LOGARITHMIC = ("log", "scale_invariant_log")
FAR_BELOW = -15.0
"""From here down softplus(x) is exp(x) to float32."""


def value_loss(
    name: str, apart: Float[Tensor, "n k h w"], known: Bool[Tensor, "n k h w"]
) -> Float[Tensor, ""]:
    """The loss of that name; 0 where nothing is known.

    Args:
        name: A key of `LOSSES`.
        apart: (p - t) / s, or ln p - ln t; anything finite where the truth is not known.
        known: Where it is.
    """
    apart = torch.where(known, apart, 0.0)
    if name == "scale_invariant_log":
        counts = known.sum(dim=(2, 3))
        pixels = counts.clamp(min=1).to(apart.dtype)
        squares = (apart**2).sum(dim=(2, 3)) / pixels
        each = squares - (apart.sum(dim=(2, 3)) / pixels) ** 2 / 2
        return total(each.sum()) / total((counts > 0).sum()).clamp(min=1)
    if name == "l2":
        each = apart**2
    elif name == "huber":
        each = F.huber_loss(apart, torch.zeros_like(apart), reduction="none")
    else:
        each = apart.abs()
    return total(each.sum()) / total(known.sum()).clamp(min=1)


def log_softplus(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """ln(softplus(x)), with a gradient however far x is below 0."""
    near = F.softplus(x.clamp(min=FAR_BELOW)).log()
    return torch.where(x < FAR_BELOW, x, near)
