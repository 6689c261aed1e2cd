"""CARAFE: enlarge a map, each pixel a sum around where it lies, with weights from the content.

For a coarse map x, windows of k x k pixels, r = (k - 1) / 2, and s s pixels in place of each,

    e = E (W x)                                   W: 1x1, E: a convolution; s s g k k channels
    w = softmax(arranged(e))                      over the k k weights of each pixel of the output
    y_YX = sum_uv w_uvYX x(Y / s + u - r, X / s + v - r)    divided as whole numbers; zero outside

where arranged(e) makes s x s pixels of s s channels, and g groups of channels have weights each.

Source: Wang et al., "CARAFE: Content-Aware ReAssembly of FEatures", ICCV 2019,
https://arxiv.org/abs/1905.02188.
Reference: github.com/open-mmlab/mmcv, mmcv/ops/carafe.py, CARAFEPack (Apache-2.0). Difference: that
gives exactly s h x s w pixels; here those are resized bilinearly where the fine map has others.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.upsampling.base import Upsampler, at_size
from pixelwise.ops.reassembly import reassembled
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class ContentAwareReassembly(Upsampler):
    """Reassemble the coarse map with predicted kernels.

    Args:
        channels: Channels of the coarse map; a multiple of `groups`.
        guide_channels: Channels of the fine map, of which only the size counts.
        scale: How many times as many rows and columns are reassembled.
        kernel_size: Side of the window that is summed, odd.
        groups: Groups of channels with weights of their own.
        encoder_kernel: Side of the convolution that predicts the weights, odd.
        encoder_dilation: Its dilation.
        hidden: Channels before that convolution.

    Shape:
        (b, c, h, w), (b, g, i, j) -> (b, c, i, j), for any sizes.

    Cost:
        c hidden + 9 hidden groups scale**2 kernel_size**2 multiply-adds per coarse pixel, c
        kernel_size**2 per output pixel.

    Raises:
        InputError: An option is out of range, even where it must be odd, or does not divide.
    """

    key: ClassVar[str] = "carafe"
    title: ClassVar[str] = "CARAFE"
    year: ClassVar[int | None] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "CARAFEPack",
        "content-aware reassembly of features",
        "内容感知特征重组",
    )
    reference_keys: ClassVar[Mapping[str, str]] = {
        "channel_compressor": "reduce",
        "content_encoder": "encode",
    }

    def __init__(
        self,
        channels: int,
        *,
        guide_channels: int | None = None,
        scale: int = 2,
        kernel_size: int = 5,
        groups: int = 1,
        encoder_kernel: int = 3,
        encoder_dilation: int = 1,
        hidden: int = 64,
    ) -> None:
        super().__init__(channels, guide_channels=guide_channels)
        at_least(1, scale=scale, groups=groups, encoder_dilation=encoder_dilation, hidden=hidden)
        odd(kernel_size=kernel_size, encoder_kernel=encoder_kernel)
        if channels % groups:
            raise InputError(
                f"groups={groups}: must divide channels={channels}; lower groups, or choose another"
                " width"
            )
        self.scale, self.groups, self.kernel_size = scale, groups, kernel_size
        self.reduce = nn.Conv2d(channels, hidden, kernel_size=1)
        self.encode = encoder(
            hidden, groups * (kernel_size * scale) ** 2, encoder_kernel, encoder_dilation
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: next to a mean of the window."""
        nn.init.xavier_uniform_(self.reduce.weight)
        nn.init.normal_(self.encode.weight, std=0.001)
        for part in (self.reduce, self.encode):
            if part.bias is not None:
                nn.init.zeros_(part.bias)

    def joined(
        self, x: Float[Tensor, "b c h w"], fine: Float[Tensor, "b g i j"]
    ) -> tuple[Float[Tensor, "b c i j"], Float[Tensor, "b g i j"]]:
        """Reassemble the coarse map; the fine map is handed on."""
        return at_size(reassembled(x, self.weights(x)), fine), fine

    def weights(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m t i j"]:
        """The weights of the window of each pixel, row by row, at `scale` times the size."""
        encoded = F.pixel_shuffle(self.encode(self.reduce(x)), self.scale)
        with full_precision(x):
            logits = torch.unflatten(encoded.to(statistics_dtype(x)), 1, (self.groups, -1))
            return logits.softmax(dim=2)


def odd(**sides: int) -> None:
    """Raise an InputError for the first of the sides that is even or below 1."""
    for name, side in sides.items():
        if side < 1 or side % 2 == 0:
            raise InputError(f"{name}={side}: must be odd; e.g. {name}={max(side, 0) // 2 * 2 + 1}")


def encoder(channels: int, outputs: int, side: int, dilation: int) -> nn.Conv2d:
    """A convolution that keeps the size."""
    padding = dilation * (side // 2)
    return nn.Conv2d(channels, outputs, side, padding=padding, dilation=dilation)
