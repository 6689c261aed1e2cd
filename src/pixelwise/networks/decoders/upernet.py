"""UPerNet: a pyramid of pooled means on the last feature map, then a feature pyramid of all.

    p_s = up(relu(norm(Ws * bins_s(x_n))))        means over s x s bins, for s = 1, 2, 3, 6
    l_n = relu(norm(W3 * [x_n, p_1, ...]))        a 3x3 convolution
    l_i = relu(norm(W1_i * x_i)) + up(l_{i+1})    for each finer map, coarsest first
    y_i = relu(norm(W3_i * l_i))                  y_n = l_n
    y = relu(norm(W3 * [y_1, up(y_2), ...]))      all at the size of the finest
    logits = W1 dropout(y)                        and an auxiliary convolution on x_{n-1}

Source: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018,
https://arxiv.org/abs/1807.10221.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/uper_head.py
(Apache-2.0), version 1.2.2: the semantic segmentation of the paper's network, of width 512.
Difference: the part of W3 that sees the means is applied before they are resized.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.decoders.pspnet import MOST_SCALES
from pixelwise.networks.parts import classifier, conv_modules, join_resized, refuse_one_image
from pixelwise.ops.binned_mean import binned_mean

LEVELS = 8
"""How many names of feature maps are known."""


class UPerNet(Decoder):
    """Pooled means on the last feature map, passed down a feature pyramid.

    Args:
        channels: Widths of the feature maps, finest first; the last `levels` are used.
        outputs: Logits per pixel.
        width: Channels of the pyramid.
        pool_scales: Bins per axis of each grid of means.
        levels: How many feature maps are joined at most.
        auxiliary: Train a second head on the feature map before the last.
        auxiliary_width: Its channels; None is a quarter of its map's.
        upsampler: How each map of the pyramid comes to the size of the finer one, such as
            "dysample"; None is bilinear, and so are the means, and the maps joined at the end. See
            `pixelwise layers`.

    Shape: list of (b, c_i, h_i, w_i) -> (b, outputs, h, w) of the finest map used.
    Raises: InputError for an option below 1, and in training, with a grid of one bin, for one image
        alone.
    """

    key = "upernet"
    title = "UPerNet"
    year = 2018
    aliases = ("UPerHead", "UPer", "unified perceptual parsing network")
    summary = "pooled means (as pspnet) on the last feature map, then a feature pyramid"
    source = "Xiao et al. 2018, https://arxiv.org/abs/1807.10221"
    output_stride = 32
    auxiliary_weights: Mapping[str, float] = {"stage3": 0.4}
    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({f"psp_modules.{i}.1": f"grids.{i}" for i in range(MOST_SCALES)}),
        **conv_modules({"bottleneck": "top", "fpn_bottleneck": "join"}),
        **conv_modules({f"lateral_convs.{i}": f"lateral.{i}" for i in range(LEVELS)}),
        **conv_modules({f"fpn_convs.{i}": f"smooth.{i}" for i in range(LEVELS)}),
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 512,
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        levels: int = 4,
        auxiliary: bool = True,
        auxiliary_width: int | None = None,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        at_least(1, width=width, levels=levels, pool_scales=min(pool_scales, default=1))
        *finer, last = channels[-levels:]
        self.pool_scales = tuple(pool_scales)
        self.grids = nn.ModuleList(conv_norm(last, width) for _ in pool_scales)
        self.top = conv_norm(last + len(self.grids) * width, width, 3)
        self.lateral = nn.ModuleList(conv_norm(c, width) for c in finer)
        self.smooth = nn.ModuleList(conv_norm(width, width, 3) for _ in finer)
        self.add_upsamplers(upsampler, [(width, width)] * len(finer))
        self.join = conv_norm((len(finer) + 1) * width, width, 3)
        self.classify = classifier(width, outputs)
        self.add_auxiliary(channels, outputs, wanted=auxiliary, width=auxiliary_width)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the finest map used."""
        *finer, x = features[-1 - len(self.lateral) :]
        maps = [lateral(z) for lateral, z in zip(self.lateral, finer, strict=True)]
        maps.append(self._pooled(x))
        for i in reversed(range(len(finer))):
            large, fine = self.enlarged(i, maps[i + 1], maps[i])
            maps[i] = fine + large
        first, *others = [
            *(smooth(z) for smooth, z in zip(self.smooth, maps[:-1], strict=True)),
            maps[-1],
        ]
        y = self.join(torch.cat([first, *(self.resized(z, first) for z in others)], dim=1))
        return self.classify(y)

    def _pooled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """The last feature map beside its means."""
        if 1 in self.pool_scales:
            refuse_one_image(self, x)
        means = [
            grid(binned_mean(x, bins))
            for grid, bins in zip(self.grids, self.pool_scales, strict=True)
        ]
        return join_resized(self.top, x, means, align_corners=self.align_corners)
