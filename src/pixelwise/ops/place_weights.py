"""Weights of the places of an image from their scores e_n, for all places together.

    sigmoid      1 / (1 + exp(-e_n))            each place by itself
    softmax      exp(e_n) / sum_k exp(e_k)
    mean         e_n / sum_k e_k                may be negative, or without bounds
    mean_flow    (e_n - m) / sum_k (e_k - m)    m the least score of the image
    range        (e_n - m) / (M - m)            M the largest

Where all scores are equal, the last two give 0, not 0 / 0.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor


def place_weights(scores: Float[Tensor, "b heads n"], how: str) -> Float[Tensor, "b heads n"]:
    """Weights of the places of each image, by one of the rules `NORMALISE`."""
    return NORMALISE[how](scores)


def _mean(scores: Tensor) -> Tensor:
    return scores / scores.sum(dim=-1, keepdim=True)


def _flow(scores: Tensor) -> Tensor:
    above = _above_least(scores)
    return _share(above, above.sum(dim=-1, keepdim=True))


def _range(scores: Tensor) -> Tensor:
    above = _above_least(scores)
    return _share(above, above.max(dim=-1, keepdim=True).values)


def _above_least(scores: Tensor) -> Tensor:
    return scores - scores.min(dim=-1, keepdim=True).values


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / torch.where(whole > 0, whole, 1.0)


NORMALISE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": Tensor.sigmoid,
    "softmax": lambda scores: scores.softmax(dim=-1),
    "mean": _mean,
    "mean_flow": _flow,
    "range": _range,
}
