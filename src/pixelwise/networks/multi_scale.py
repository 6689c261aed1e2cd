"""Hierarchical multi-scale attention: each scale says where it is to be trusted over larger ones.

A network runs on the picture at every scale s; it gives logits l_s and, per pixel, a weight a_s in
(0, 1). From the largest scale to the smallest, with every map at the size of its picture,

    y = l_s                                             the largest
    y = a_s l_s + (1 - a_s) resize(y)                   s >= 1
    y = resize(a_s l_s) + (1 - resize(a_s)) y           s < 1, so that the result has the size of 1

Source: Tao et al., "Hierarchical Multi-Scale Attention for Semantic Segmentation", 2020,
https://arxiv.org/abs/2005.10821.
Reference: github.com/NVIDIA/semantic-segmentation, network/ocrnet.py (BSD-3-Clause), commit
6646446, which resizes with `align_corners=False`. It trains with scales 0.5 and 1 and predicts with
0.5, 1 and 2; so does a network here that has `scales=(0.5, 1.0, 2.0)`.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.networks.base import Decoder, Outputs

Weighed = tuple[Outputs, Float[Tensor, "b 1 h w"]]
"""What a network says of a picture at one scale, and how far to trust it there."""


class MultiScaleDecoder(Decoder):
    """A decoder that can weigh what it says at one scale against what it says at larger ones."""

    scales: tuple[float, ...] = (1.0,)
    """Factors on the picture's height and width; with one alone there are no weights."""

    @abstractmethod
    def weighed(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Weighed:
        """Logits, auxiliary logits and weights, each at its own resolution."""

    @property
    def running_scales(self) -> tuple[float, ...]:
        """`scales`; in training those up to 1, if these are several: large ones cost too much."""
        small = tuple(scale for scale in self.scales if scale <= 1)
        return small if self.training and len(small) > 1 else self.scales


def checked(scales: Sequence[float]) -> tuple[float, ...]:
    """The scales, largest first.

    Raises:
        InputError: One is not positive, named twice, or 1 is missing.
    """
    found = tuple(sorted((float(scale) for scale in scales), reverse=True))
    if 1.0 not in found or found[-1] <= 0 or len(set(found)) < len(found):
        raise InputError(
            f"scales={tuple(scales)}: must be positive, different and hold 1.0, the scale of the"
            " result; e.g. scales=(0.5, 1.0, 2.0)"
        )
    return found


def over_scales(
    run: Callable[[Tensor], Weighed],
    image: Float[Tensor, "b c h w"],
    scales: Sequence[float],
    *,
    align_corners: bool,
) -> Outputs:
    """Outputs at the picture's size; `run` gives all maps at the size of what it is given."""
    joined: Outputs | None = None
    for scale in sorted(scales, reverse=True):
        found, weights = run(_scaled(image, scale, align_corners))
        if joined is None:
            joined = found
            continue
        larger, options = joined, {"shrink": scale >= 1, "align_corners": align_corners}
        joined = Outputs(
            combine(larger.logits, found.logits, weights, **options),
            {
                name: combine(larger.auxiliary[name], logits, weights, **options)
                for name, logits in found.auxiliary.items()
            },
        )
    assert joined is not None
    return joined


def combine(
    larger: Float[Tensor, "b k i j"],
    smaller: Float[Tensor, "b k h w"],
    weights: Float[Tensor, "b 1 h w"],
    *,
    shrink: bool,
    align_corners: bool,
) -> Tensor:
    """Logits of a larger scale, and those of the next smaller one where its weights are high.

    The result has the size of the smaller map if `shrink`, and else of the larger one.
    """
    if shrink:
        return torch.lerp(_resized(larger, smaller.shape[2:], align_corners), smaller, weights)
    size = larger.shape[2:]
    seen = _resized(weights * smaller, size, align_corners)
    return seen + (1 - _resized(weights, size, align_corners)) * larger


def _scaled(image: Tensor, scale: float, align_corners: bool) -> Tensor:
    if scale == 1:
        return image
    exact = Fraction(scale).limit_denominator(1000)  # whole numbers, which torch.export keeps free
    up, down = exact.numerator, exact.denominator
    size = [torch.sym_max(1, side * up // down) for side in image.shape[2:]]
    return _resized(image, size, align_corners)


def _resized(x: Tensor, size: Sequence[Any], align_corners: bool) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)
