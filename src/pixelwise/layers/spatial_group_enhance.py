"""Spatial group-wise enhance: in each group of channels, gate pixels by their likeness to the mean.

For each group of channels, with pixels x_n of c channels, N of them,

    g = mean_n(x_n)                           what the group is on the whole
    t_n = g . x_n                             how alike pixel n is
    u_n = (t_n - mean(t)) / (std(t) + eps)    std with N - 1, eps beside the root
    y_n = x_n sigmoid(w u_n + b)              w and b: one number per group

Source: Li et al., "Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional
Networks", https://arxiv.org/abs/1905.09646.
Reference: github.com/implus/PytorchInsight, classification/models/imagenet/resnet_sge.py (no
licence file), class SpatialGroupEnhance, compared by recorded numbers alone. Differences: a map of
one pixel has u = 0, where theirs is not a number; maps with channels last work.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.ops.pixel_pools import mean_pool
from pixelwise.ops.running.precision import full_precision
from pixelwise.ops.weighted_sum import weighted_sum

EPS = 1e-5
GROUPS = 64


class SpatialGroupEnhance(AttentionLayer):
    """Gate the pixels of every group of channels by how alike they are to the group's mean.

    Args:
        channels: Channels of the input and of the output.
        groups: Groups of channels, each with one gate per pixel; must divide `channels`. None is
            the authors' 64, or where that does not divide, the largest power of two that does.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 4 c operations per pixel; two parameters per group, and no map beside the result is
        kept.

    Raises:
        InputError: `groups` does not divide the channels.

    Starts with w = 0 and b = 1: every gate is sigmoid(1), 0.73. Statistics are those of each image,
    in training and in evaluation.
    """

    key: ClassVar[str] = "sge"
    title: ClassVar[str] = "Spatial group-wise enhance"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = ("SGENet", "SGE attention")
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", "group")
    reference_keys: ClassVar[Mapping[str, str]] = {"weight": "scale", "bias": "shift"}

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__(channels)
        groups = math.gcd(channels, GROUPS) if groups is None else groups
        at_least(1, groups=groups)
        if channels % groups:
            raise InputError(
                f"groups={groups}: must divide channels={channels}; give a divisor, or choose "
                f"channels that are a multiple of {groups}"
            )
        self.groups = groups
        self.scale = nn.Parameter(torch.zeros(groups))
        self.shift = nn.Parameter(torch.ones(groups))

    def reset_parameters(self) -> None:
        """Start with one gate for all pixels."""
        nn.init.zeros_(self.scale)
        nn.init.ones_(self.shift)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate the pixels of each group by their likeness to its mean, normalised over pixels."""
        groups = self._grouped(x)  # (b * groups, channels of a group, n)
        likeness = torch.einsum("bc,bcn->bn", groups.mean(dim=2), groups)
        return (groups * self._gate(likeness)).reshape(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a group."""
        _, likeness = self._likeness(x)
        return Maps(spatial=self._gate(likeness).view(x.shape[0], self.groups, *x.shape[2:]))

    def _grouped(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "bg k n"]:
        batch, channels, height, width = x.shape
        return x.reshape(batch * self.groups, channels // self.groups, height * width)

    def _likeness(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "bg k n"], Float[Tensor, "bg n"]]:
        """The map to go on with, and how alike each pixel is to the mean of its group."""
        groups, mean = mean_pool(self._grouped(x))
        return weighted_sum(groups, mean, pixels=False)

    def _gate(self, likeness: Float[Tensor, "bg n"]) -> Float[Tensor, "bg 1 n"]:
        with full_precision(likeness):
            pixels, per_image = likeness.shape[1], (-1, self.groups, likeness.shape[1])
            away = likeness - likeness.mean(dim=1, keepdim=True)
            spread = likeness.std(dim=1, keepdim=True, correction=min(pixels - 1, 1))
            normal = (away / (spread + EPS)).view(per_image)
            scale, shift = (p.to(normal.dtype)[:, None] for p in (self.scale, self.shift))
            return (scale * normal + shift).sigmoid().view(-1, 1, pixels)
