"""U-Net: back up the way down, each finer feature map joined on the way.

    y = x_n                                       the last feature map
    y = relu(norm(W relu(norm(W [up(y), x_i]))))  for each finer map x_i, two 3x3 convolutions
    y = relu(norm(W relu(norm(W up(y)))))         for each width left, until the input's size
    logits = W y                                  3x3

Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015,
https://arxiv.org/abs/1505.04597.
Reference: github.com/qubvel-org/segmentation_models.pytorch, decoders/unet (MIT), commit 5006616:
the decoder in common use on any backbone, of widths 256, 128, 64, 32, 16. The paper has its own
encoder, unpadded convolutions, no norm, and transposed convolutions for up(.). Difference: where
no map is left to join, up(.) doubles. With up_convolutions=True it is nearer to the paper:

    y = relu(norm(W relu(norm(W [x_i, U y]))))    U: up(.), then a 3x3 convolution, norm and ReLU
    logits = W y                                  1x1

the networks of two dimensions known as U_Net (on the backbone unet_encoder), whose keys are Up5,
Up_conv5 and Conv_1x1 (written from the names and the paper; no code was read).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import double_convolution, double_convolutions

WIDTHS = (256, 128, 64, 32, 16)


class UNet(Decoder):
    """Upsampling, skip connections, two convolutions at each resolution.

    Args:
        channels: Widths of the feature maps, finest first; all are used, as far as `widths` go.
        outputs: Logits per pixel.
        widths: Channels at each resolution on the way up.
        interpolation: How maps are enlarged: "nearest" or "bilinear".
        up_convolutions: Whether enlarged maps pass a convolution to the block's width and are
            joined last, convolutions have biases, and the last one is 1x1.
        upsampler: How a map comes to the size of the finer one that is joined, such as "dysample";
            None is as `interpolation` says, and so are steps that join none. See `pixelwise
            layers`.

    Shape: last feature map (b, c, h, w) -> (b, outputs, H, W), the input's size for a backbone
    that halves five times.
    Raises: InputError for an unknown interpolation, or no widths.
    """

    key = "unet"
    title = "U-Net"
    year = 2015
    aliases: ClassVar[tuple[str, ...]] = ("UNetDecoder",)
    summary = "skip connections from every stage, two convolutions at each resolution"
    source = "Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597"
    output_stride = 32
    reference_keys: ClassVar[Mapping[str, str]] = {
        **{f"decoder.blocks.{i}.conv1": f"blocks.{i}.0" for i in range(8)},
        **{f"decoder.blocks.{i}.conv2": f"blocks.{i}.1" for i in range(8)},
        "segmentation_head.0": "classify",
        # U_Net's names, which count the levels of five maps from the finest.
        **{f"Up{5 - i}.up.1": f"up.{i}.0" for i in range(4)},
        **{f"Up{5 - i}.up.2": f"up.{i}.1" for i in range(4)},
        **double_convolutions({f"Up_conv{5 - i}": f"blocks.{i}" for i in range(4)}),
        "Conv_1x1": "classify",
        "Conv": "classify",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        widths: Sequence[int] = WIDTHS,
        interpolation: str = "nearest",
        up_convolutions: bool = False,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        one_of(("nearest", "bilinear"), interpolation=interpolation)
        if not widths:
            raise InputError("widths=(): must not be empty; give the channels at each resolution")
        at_least(1, widths=min(widths))
        self.interpolation = interpolation
        self.skips = list(reversed(channels[:-1]))[: len(widths)]
        self.into = [channels[-1], *widths[:-1]]
        self.add_upsamplers(upsampler, list(zip(self.into, self.skips, strict=False)))
        joined = self.skips + [0] * (len(widths) - len(self.skips))
        steps = list(zip(self.into, widths, strict=True))
        self.up = nn.ModuleList(
            conv_norm(i, w, 3, bias=True) for i, w in (steps if up_convolutions else ())
        )
        self.guides = list(widths) if up_convolutions else self.into
        self.blocks = nn.ModuleList(
            double_convolution(g + s, w, bias=up_convolutions)
            for g, s, w in zip(self.guides, joined, widths, strict=True)
        )
        side = 1 if up_convolutions else 3
        self.classify = nn.Conv2d(widths[-1], outputs, side, padding=side // 2)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the resolution of the last block."""
        y = features[-1]
        for level, block in enumerate(self.blocks):
            skip = features[-2 - level] if level < len(self.skips) else None
            if skip is None or self.upsampler is None:
                enlarged = self._interpolated(y, skip)
            else:
                enlarged, skip = self.enlarged(level, y, skip)
            if self.up:
                y = enlarged = self.up[level](enlarged)
            if skip is None:
                y = block(enlarged)
                continue
            parts = [enlarged, self.attended(level, skip, y)]
            y = block(torch.cat(parts[::-1] if self.up else parts, dim=1))
        return self.classify(y)

    def attended(self, level: int, skip: Tensor, guide: Tensor) -> Tensor:
        """What of a finer map is joined, given the coarser one: here all."""
        return skip

    def _interpolated(self, y: Tensor, to: Tensor | None) -> Tensor:
        """`y` at the size of another map, or twice as large."""
        size = [2 * side for side in y.shape[-2:]] if to is None else to.shape[-2:]
        corners = self.align_corners if self.interpolation == "bilinear" else None
        return F.interpolate(y, size=size, mode=self.interpolation, align_corners=corners)
