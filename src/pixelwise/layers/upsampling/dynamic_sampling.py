"""DySample: enlarge a map by reading it at places that its content moves.

For a coarse map x of h x w pixels, channels in g groups, and an output of H x W,

    o = W x / 4                     offsets (row, column) of s x s places in each coarse pixel
    o = W x * sigmoid(V x) / 2      dynamic_range=True: how far they reach is learnt too
    p_Y = (Y + 1/2) h / H - 1/2     where row Y lies in x; columns likewise
    y_YX = x(p_Y + o_YX)            read bilinearly, at the border if beyond

W and V are 1x1 convolutions. style="lp" arranges the s s offsets of a pixel as s x s pixels;
style="pl" arranges the channels of x so, c / (s s) of them, and convolves those.

Source: Liu et al., "Learning to Upsample by Learning to Sample", ICCV 2023,
https://arxiv.org/abs/2308.15085.
Reference: github.com/tiny-smart/dysample, dysample.py (MIT). Difference: that gives exactly s h x
s w pixels. Here the offsets are resized bilinearly from there to H x W where that is another size,
and points are read at the true place of each pixel, so that with offsets of zero it is bilinear
resizing to any size. The buffer of the authors' checkpoints, init_pos, is a constant and left out.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.upsampling.base import Upsampler, at_size
from pixelwise.ops.point_reading import read_points
from pixelwise.ops.running.precision import full_precision, statistics_dtype

CONSTANT = "init_pos"


class DynamicSampling(Upsampler):
    """Read the coarse map at places that are predicted from it.

    Args:
        channels: Channels of the coarse map; a multiple of `groups`.
        guide_channels: Channels of the fine map, of which only the size counts.
        scale: How many times as many rows and columns the offsets are made for.
        style: "lp" predicts offsets, then arranges them; "pl" arranges the channels first, which
            must be a multiple of scale * scale.
        groups: Groups of channels with offsets of their own.
        dynamic_range: Whether the reach of the offsets is predicted too.

    Shape:
        (b, c, h, w), (b, g, i, j) -> (b, c, i, j), for any sizes.

    Cost:
        2 c groups scale**2 multiply-adds per coarse pixel, 4 c reads per output pixel.

    Raises:
        InputError: An option is out of range, or does not divide the channels.
    """

    key: ClassVar[str] = "dysample"
    title: ClassVar[str] = "DySample"
    year: ClassVar[int | None] = 2023
    aliases: ClassVar[tuple[str, ...]] = ("DySample upsampler", "dynamic upsampler", "动态上采样")
    reference_keys: ClassVar[Mapping[str, str]] = {"offset": "offset", "scope": "reach"}

    def __init__(
        self,
        channels: int,
        *,
        guide_channels: int | None = None,
        scale: int = 2,
        style: str = "lp",
        groups: int = 4,
        dynamic_range: bool = False,
    ) -> None:
        super().__init__(channels, guide_channels=guide_channels)
        at_least(1, scale=scale, groups=groups)
        one_of(("lp", "pl"), style=style)
        square = scale**2
        for name, divisor in (("groups", groups), ("scale", square if style == "pl" else 1)):
            if channels % divisor:
                raise InputError(
                    f"{name}={groups if name == 'groups' else scale}: channels={channels} must be a"
                    f" multiple of {divisor}; lower {name}, or choose another width"
                )
        self.scale, self.style, self.groups = scale, style, groups
        first = style == "pl"
        seen, made = (channels // square, 2 * groups) if first else (channels, 2 * groups * square)
        self.offset = nn.Conv2d(seen, made, kernel_size=1)
        self.reach = nn.Conv2d(seen, made, kernel_size=1, bias=False) if dynamic_range else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: next to bilinear."""
        nn.init.normal_(self.offset.weight, std=0.001)
        if self.offset.bias is not None:
            nn.init.zeros_(self.offset.bias)
        if self.reach is not None:
            nn.init.zeros_(self.reach.weight)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Without the authors' constant buffer."""
        return {key: value for key, value in state_dict.items() if key != CONSTANT}

    def joined(
        self, x: Float[Tensor, "b c h w"], fine: Float[Tensor, "b g i j"]
    ) -> tuple[Float[Tensor, "b c i j"], Float[Tensor, "b g i j"]]:
        """Read the coarse map where the offsets point; the fine map is handed on."""
        offsets = self.offsets(x)
        with full_precision(x):
            offsets = at_size(offsets.to(statistics_dtype(x)), fine)
            rows, columns = places(offsets, x)
            return read_points(x, rows, columns), fine

    def offsets(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Offsets of columns, then of rows, per group, at `scale` times the size, in pixels."""
        seen = F.pixel_shuffle(x, self.scale) if self.style == "pl" else x
        offset = self.offset(seen)
        reach = 0.25 if self.reach is None else 0.5 * self.reach(seen).sigmoid()
        offset = offset * reach
        return offset if self.style == "pl" else F.pixel_shuffle(offset, self.scale)


def places(
    offsets: Float[Tensor, "b o i j"], x: Float[Tensor, "b c h w"]
) -> tuple[Float[Tensor, "b g i j"], Float[Tensor, "b g i j"]]:
    """Rows and columns of `x` where each pixel of the larger map is read."""
    columns, rows = offsets.chunk(2, dim=1)
    down, across = (
        (torch.arange(many, device=x.device, dtype=offsets.dtype) + 0.5) * (few / many) - 0.5
        for many, few in zip(offsets.shape[2:], x.shape[2:], strict=True)
    )
    return rows + down[:, None], columns + across
