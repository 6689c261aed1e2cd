"""Bilinear resizing: each pixel takes from the four around where it lies.

    y_YX = sum_ij max(0, 1 - |p_Y - i|) max(0, 1 - |q_X - j|) x_ij    p_Y = (Y + 1/2) h / H - 1/2

for a coarse map x of h x w pixels, an output of H x W, and q_X likewise; both at least 0.

Source: none; torch's `interpolate` with align_corners=False.
Reference: none.
"""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from pixelwise.layers.upsampling.base import Upsampler, resized


class Bilinear(Upsampler):
    """Resize bilinearly; nothing is learnt.

    In a network it stands for the decoder's own bilinear resizing, with its `align_corners`.

    Args:
        channels: Channels of the coarse map.
        guide_channels: Channels of the fine map, of which only the size counts.

    Shape:
        (b, c, h, w), (b, g, i, j) -> (b, c, i, j), for any sizes.

    Cost:
        8 operations per pixel and channel.

    Raises:
        InputError: There are no channels.
    """

    key: ClassVar[str] = "bilinear"
    title: ClassVar[str] = "Bilinear resizing"
    year: ClassVar[int | None] = None
    aliases: ClassVar[tuple[str, ...]] = ("interpolate", "双线性插值")

    def joined(
        self, x: Float[Tensor, "b c h w"], fine: Float[Tensor, "b g i j"]
    ) -> tuple[Float[Tensor, "b c i j"], Float[Tensor, "b g i j"]]:
        """Resize; the fine map is handed on."""
        return resized(x, fine), fine
