"""Multi-scale convolutional attention: a factor for every value, from strips of three lengths.

For a map x in R^(c x h x w),

    u = D * x + d                                 near: 5x5, each channel by itself
    s = u + sum_k (V_k * (H_k * u + a_k) + e_k)   far: 1xk, then kx1, for k of 7, 11 and 21
    y_ij = x_ij (W s_ij + b)                      mixed by a 1x1 convolution, and multiplied

With `projected`, z = gelu(P1 x + p1) is gated in place of x, and the output is

    y_ij = x_ij + P2 (z_ij (W s_ij + b)) + p2

Source: Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation",
NeurIPS 2022, https://arxiv.org/abs/2209.08575.
Reference: github.com/Visual-Attention-Network/SegNeXt, mmseg/models/backbones/mscan.py
(Apache-2.0), AttentionModule and, with `projected`, SpatialAttention; MSCAAttention and
MSCASpatialAttention of mmsegmentation are the same, with free kernel sizes. Differences: any number
of strips; parts start as torch starts them, where the authors' network draws them anew.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.shared.convolutional_gate import Apply, ConvolutionalGate, gate_keys

STRIPS = 9
"""Pairs of strips whose names in checkpoints are known."""


class MultiScaleConvolutionalAttention(ConvolutionalGate):
    """Multiply every value by a factor from its square of 5x5 and from long strips around it.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Side of the square; odd.
        strips: Lengths of the strips; odd, one or more.
        projected: Gate between two 1x1 convolutions, and add the input: what stands in the blocks
            of SegNeXt's backbone.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c (kernel_size^2 + 2 sum(strips) + c) multiply-adds per pixel, and 2 c^2 with `projected`;
        memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The factor has no sigmoid: it may be negative and large, and the output grows with the square of
    x. A pixel depends on those whose row and whose column are both at most
    `kernel_size // 2 + max(strips) // 2` away.
    """

    key: ClassVar[str] = "msca"
    title: ClassVar[str] = "Multi-scale convolutional attention"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = (
        "SegNeXt",
        "MSCAN",
        "MSCAAttention",
        "MSCASpatialAttention",
    )
    reference_keys: ClassVar[Mapping[str, str]] = gate_keys(
        {"conv0": "near", "conv3": "mix"}
        | {f"conv{i}_1": f"along.{i}" for i in range(STRIPS)}
        | {f"conv{i}_2": f"down.{i}" for i in range(STRIPS)}
    )

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 5,
        strips: tuple[int, ...] = (7, 11, 21),
        projected: bool = False,
    ) -> None:
        super().__init__(channels, channels, projected=projected)
        if not 1 <= len(strips) <= STRIPS:
            raise InputError(f"strips={strips}: must be 1 to {STRIPS} lengths; e.g. (7, 11, 21)")
        for name, size in (("kernel_size", kernel_size), *(("strips", side) for side in strips)):
            at_least(1, **{name: size})
            if size % 2 == 0:
                raise InputError(f"{name}={size}: must be odd; take one more or one less")
        self.near = _depthwise(channels, kernel_size, kernel_size)
        self.along = nn.ModuleList(_depthwise(channels, 1, side) for side in strips)
        self.down = nn.ModuleList(_depthwise(channels, side, 1) for side in strips)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Multiply every pixel by a factor from the squares and strips around it."""
        z = self.entered(x)
        near = self.near(z)
        far = [down(along(near)) for along, down in zip(self.along, self.down, strict=True)]
        return self.left(x, z * self.mix(sum(far, near)))

    def context(self, z: Float[Tensor, "b c h w"], apply: Apply) -> Float[Tensor, "b c h w"]:
        """The square around each pixel, and the sum of its strips."""
        seen = near = apply(self.near, z)
        for along, down in zip(self.along, self.down, strict=True):
            seen = seen + apply(down, apply(along, near))
        return seen


def _depthwise(channels: int, rows: int, columns: int) -> nn.Conv2d:
    """A convolution of each channel by itself that keeps the size."""
    sides, padding = (rows, columns), (rows // 2, columns // 2)
    return nn.Conv2d(channels, channels, sides, padding=padding, groups=channels)
