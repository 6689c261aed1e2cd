"""Large separable kernel attention: a factor for every value, from rows and columns of taps.

For a map x in R^(c x h x w), with kernels of one row (H) and of one column (V), each channel by
itself,

    u = V1 * (H1 * x + a1) + e1    near: taps side by side
    s = V2 * (H2 * u + a2) + e2    far: taps d pixels apart
    y_ij = x_ij (W s_ij + b)       mixed by a 1x1 convolution, and multiplied

With `projected`, z = gelu(P1 x + p1) is gated in place of x, and the output is

    y_ij = x_ij + P2 (z_ij (W s_ij + b)) + p2

Source: Lau et al., "Large Separable Kernel Attention: Rethinking the Large Kernel Attention Design
in CNN", Expert Systems with Applications 2024, https://arxiv.org/abs/2309.01439.
Reference: github.com/StevenLauHKHK/Large-Separable-Kernel-Attention (Apache-2.0), models/van.py,
LSKA and Attention, and mmsegmentation/van.py, AttentionModule and SpatialAttention: the same under
two sets of names, both of which load. Differences: a size that the authors have no kernels for is
refused when the layer is made, not when it runs; parts start as torch starts them.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.shared.convolutional_gate import Apply, ConvolutionalGate, gate_keys

KERNELS = {
    7: (3, 3, 2),
    11: (3, 5, 2),
    23: (5, 7, 3),
    35: (5, 11, 3),
    41: (5, 13, 3),
    53: (5, 17, 3),
}
"""Side of what is seen -> near taps, far taps, and pixels from one of those to the next."""

_PARTS = {"near_rows": 0, "near_columns": 1, "far_rows": 2, "far_columns": 3}
_NAMES = (
    ("conv0h", "conv0v", "conv_spatial_h", "conv_spatial_v"),
    ("DW_conv_h", "DW_conv_v", "DW_D_conv_h", "DW_D_conv_v"),
)
"""Of both sets, in the order of the parts."""


class LargeSeparableKernelAttention(ConvolutionalGate):
    """Multiply every value by a factor from a square around it, seen by rows and columns of taps.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Rows and columns of the square: 7, 11, 23, 35, 41 or 53.
        projected: Gate between two 1x1 convolutions, and add the input: what stands in the blocks
            of VAN.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w, also smaller than the square.

    Cost:
        c (2 t + c) multiply-adds per pixel with t near and far taps, 12 of 23, and 2 c^2 with
        `projected`; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The factor has no sigmoid: it may be negative and large, and the output grows with the square of
    x. The square that a pixel depends on is exactly `kernel_size`.
    """

    key: ClassVar[str] = "lska"
    title: ClassVar[str] = "Large separable kernel attention"
    year: ClassVar[int] = 2023
    aliases: ClassVar[tuple[str, ...]] = ("VAN-LSKA",)
    lean_for_gradients: ClassVar[bool] = True
    reference_keys: ClassVar[Mapping[str, str]] = gate_keys(
        {names[place]: part for names in _NAMES for part, place in _PARTS.items()}
        | {"conv1": "mix"}
    )

    def __init__(self, channels: int, *, kernel_size: int = 23, projected: bool = False) -> None:
        super().__init__(channels, channels, projected=projected)
        if kernel_size not in KERNELS:
            raise InputError(
                f"kernel_size={kernel_size}: must be one of {', '.join(map(str, KERNELS))}; "
                f"use {min(KERNELS, key=lambda side: abs(side - kernel_size))}"
            )
        near, far, step = KERNELS[kernel_size]
        self.near_rows, self.near_columns = _pair(channels, near, 1)
        self.far_rows, self.far_columns = _pair(channels, far, step)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Multiply every pixel by a factor from those around it."""
        z = self.entered(x)
        near = self.near_columns(self.near_rows(z))
        far = self.far_columns(self.far_rows(near))
        return self.left(x, z * self.mix(far))

    def context(self, z: Float[Tensor, "b c h w"], apply: Apply) -> Float[Tensor, "b c h w"]:
        """What is near, and what is far, as one."""
        near = apply(self.near_columns, apply(self.near_rows, z))
        return apply(self.far_columns, apply(self.far_rows, near))


def _pair(channels: int, taps: int, step: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """Convolutions of each channel by itself along rows and along columns; both keep the size."""
    edge = step * (taps // 2)
    rows = nn.Conv2d(
        channels, channels, (1, taps), padding=(0, edge), dilation=step, groups=channels
    )
    columns = nn.Conv2d(
        channels, channels, (taps, 1), padding=(edge, 0), dilation=step, groups=channels
    )
    return rows, columns
