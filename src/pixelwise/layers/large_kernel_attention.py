"""Large kernel attention: a factor for every value, from two chained depthwise convolutions.

For a map x in R^(c x h x w),

    u = D * x + d                  near: 5x5, each channel by itself
    s = E * u + e                  far: 7x7 with taps 3 pixels apart, each channel by itself
    y_ij = x_ij (W s_ij + b)       mixed by a 1x1 convolution, and multiplied

With `projected`, z = gelu(P1 x + p1) is gated in place of x, and the output is

    y_ij = x_ij + P2 (z_ij (W s_ij + b)) + p2

Source: Guo et al., "Visual Attention Network", Computational Visual Media 2023,
https://arxiv.org/abs/2202.09741.
Reference: github.com/Visual-Attention-Network/VAN-Segmentation, van.py (Apache-2.0),
AttentionModule and, with `projected`, SpatialAttention; LKA and Attention of VAN-Classification are
the same. Differences: parts start as torch starts them, where the authors' networks draw them anew.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.shared.convolutional_gate import Apply, ConvolutionalGate, gate_keys


class LargeKernelAttention(ConvolutionalGate):
    """Multiply every value by a factor from the 23x23 pixels around it.

    Args:
        channels: Channels c of the input and of the output.
        projected: Gate between two 1x1 convolutions, and add the input: what stands in the blocks
            of VAN.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c (74 + c) multiply-adds per pixel, and 2 c^2 with `projected`; memory linear in h * w.

    Raises:
        InputError: `channels` is below 1.

    The factor has no sigmoid: it may be negative and large, and the output grows with the square of
    x. A pixel depends on those at most 11 rows and 11 columns away; the paper writes of a kernel of
    21x21, the released code reaches one pixel further.
    """

    key: ClassVar[str] = "lka"
    title: ClassVar[str] = "Large kernel attention"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = ("VAN",)
    reference_keys: ClassVar[Mapping[str, str]] = gate_keys(
        {"conv0": "near", "conv_spatial": "far", "conv1": "mix"}
    )

    def __init__(self, channels: int, *, projected: bool = False) -> None:
        super().__init__(channels, channels, projected=projected)
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Multiply every pixel by a factor from those around it."""
        z = self.entered(x)
        factor = self.mix(self.far(self.near(z)))
        return self.left(x, z * factor)

    def context(self, z: Float[Tensor, "b c h w"], apply: Apply) -> Float[Tensor, "b c h w"]:
        """What is near, and what is far, as one."""
        return apply(self.far, apply(self.near, z))
