"""Large selective kernel: a factor for every value, from two kernels that each pixel chooses from.

For a map x in R^(c x h x w), and m = c // 2,

    u = D * x + d                                  near: 5x5, each channel by itself
    v = E * u + e                                  far: 7x7 with taps 3 pixels apart
    p = P1 u + p1,  q = P2 v + p2                  narrowed to m channels each
    [f, g] = sigmoid(K * [mean_c [p, q], max_c [p, q]] + k)   how much of both a pixel takes (7x7)
    y_ij = x_ij (W (f_ij p_ij + g_ij q_ij) + b)    mixed by a 1x1 convolution, and multiplied

With `projected`, z = gelu(Q1 x + q1) is gated in place of x, and the output is

    y_ij = x_ij + Q2 (z_ij (W (f_ij p_ij + g_ij q_ij) + b)) + q2

Source: Li et al., "Large Selective Kernel Network for Remote Sensing Object Detection", ICCV 2023,
https://arxiv.org/abs/2303.09030.
Reference: github.com/zcablii/LSKNet, mmrotate/models/backbones/lsknet.py (CC BY-NC 4.0; written
from the equations), LSKblock and, with `projected`, Attention. Differences: one channel is refused,
since half of it is none; the mean over channels is taken before the map of all is written.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.base import Heads, Maps
from pixelwise.layers.shared.convolutional_gate import (
    Apply,
    ConvolutionalGate,
    called,
    gate_keys,
)


class LargeSelectiveKernel(ConvolutionalGate):
    """Multiply every value by a factor from near and far pixels, whose shares each pixel chooses.

    Args:
        channels: Channels c of the input and of the output, 2 or more.
        projected: Gate between two 1x1 convolutions, and add the input: what stands in the blocks
            of LSKNet.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c (74 + 3 c / 2) + 196 multiply-adds per pixel, and 2 c^2 with `projected`; memory linear
        in h * w.

    Raises:
        InputError: `channels` is below 2.

    The shares f and g are between 0 and 1 and need not sum to 1. The factor has no sigmoid: it may
    be negative and large, and the output grows with the square of x. A pixel depends on those at
    most 14 rows and 14 columns away: 11 by the kernels, 3 by the choice.
    """

    key: ClassVar[str] = "lsk"
    title: ClassVar[str] = "Large selective kernel"
    year: ClassVar[int] = 2023
    aliases: ClassVar[tuple[str, ...]] = ("LSKNet", "LSKblock")
    map_heads: Heads = Heads("mean", ("near", "far"))
    reference_keys: ClassVar[Mapping[str, str]] = gate_keys(
        {
            "conv0": "near",
            "conv_spatial": "far",
            "conv1": "narrow_near",
            "conv2": "narrow_far",
            "conv_squeeze": "choose",
            "conv": "mix",
        }
    )

    def __init__(self, channels: int, *, projected: bool = False) -> None:
        at_least(2, channels=channels)
        width = channels // 2
        super().__init__(channels, width, projected=projected)
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.narrow_near = nn.Conv2d(channels, width, kernel_size=1)
        self.narrow_far = nn.Conv2d(channels, width, kernel_size=1)
        self.choose = nn.Conv2d(2, 2, kernel_size=7, padding=3)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Multiply every pixel by a factor from what it chooses of near and far."""
        z = self.entered(x)
        near = self.near(z)
        narrow = torch.stack([self.narrow_near(near), self.narrow_far(self.far(near))], dim=1)
        both = narrow.flatten(1, 2)  # (b, 2 m, h, w)
        pooled = torch.stack([both.mean(dim=1), both.max(dim=1).values], dim=1)
        shares = self.choose(pooled).sigmoid()  # (b, 2, h, w): of near, and of far
        chosen = torch.einsum("bkhw,bkmhw->bmhw", shares, narrow)
        return self.left(x, z * self.mix(chosen))

    def context(self, z: Float[Tensor, "b c h w"], apply: Apply) -> Float[Tensor, "b m h w"]:
        """What each pixel chooses of near and far."""
        near, far, shares = self._chosen(z, apply)
        return torch.addcmul(shares[:, :1] * near, shares[:, 1:], far)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Shares that the pixels take of near and of far, the same for every `at`."""
        return Maps(spatial=self._chosen(self.entered(x), called)[2])

    def _chosen(
        self, z: Float[Tensor, "b c h w"], apply: Apply
    ) -> tuple[Float[Tensor, "b m h w"], Float[Tensor, "b m h w"], Float[Tensor, "b 2 h w"]]:
        """Near and far, narrowed, and the shares that pixels take of them."""
        around = apply(self.near, z)
        near, far = self.narrow_near(around), self.narrow_far(apply(self.far, around))
        mean = (near.mean(dim=1) + far.mean(dim=1)) / 2
        largest = torch.maximum(near.amax(dim=1), far.amax(dim=1))
        return near, far, self.choose(torch.stack([mean, largest], dim=1)).sigmoid()
