"""Concurrent spatial and channel squeeze and excitation: a gate per channel and one per pixel.

For pixels x_n in R^c of one image,

    g = sigmoid(W2 relu(W1 mean_n(x_n) + b1) + b2)    which channels matter
    s_n = sigmoid(w . x_n + b)                        which pixels matter
    y_n = x_n * g + x_n s_n                           both, added, or
    y_n = max(x_n * g, x_n s_n)                       the larger of the two, by channel

Source: Roy et al., "Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional
Networks", MICCAI 2018, https://arxiv.org/abs/1803.02579.
Reference: segmentation_models_pytorch 0.6.0, base/modules.py, SCSEModule (MIT), which adds.
Differences: the larger of the two is a choice, as in the paper; the gates are added before they
meet the map.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.layers.base import AttentionLayer, Maps, reduced
from pixelwise.ops.pixel_pools import mean_pool
from pixelwise.ops.polarized_gate import pixel_gate, pixel_logits, polarized_gate
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class SpatialChannelSqueezeExcitation(AttentionLayer):
    """Gate the channels and the pixels of the same map, and join the two.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio of the channel gates; the hidden width is
            `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.
        fusion: "add" adds the two gated maps, "max" takes the larger value.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        4 c operations per pixel; with "add" no map beside the result is kept.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "scse"
    title: ClassVar[str] = "Concurrent spatial and channel squeeze and excitation"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = (
        "SCSEModule",
        "SCSEBlock",
        "cSE",
        "sSE",
        "csSE",
        "ChannelSpatialSELayer",
        "concurrent SE",
        "spatial and channel squeeze and excitation",
    )
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "cSE.1": "reduce",
        "cSE.3": "expand",
        "sSE.0": "score",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        hidden: int | None = None,
        fusion: str = "add",
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        one_of(("add", "max"), fusion=fusion)
        self.fusion = fusion
        self.reduce = nn.Linear(channels, width)
        self.expand = nn.Linear(width, channels)
        self.score = nn.Linear(channels, 1)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate the channels of x, gate its pixels, and join both results."""
        hidden = self.reduce(x.mean(dim=(2, 3))).relu()
        channel = self.expand(hidden).sigmoid()[:, :, None, None]  # (b, c, 1, 1)
        pixels = x.permute(0, 2, 3, 1)  # (b, h, w, c)
        spatial = self.score(pixels).sigmoid().permute(0, 3, 1, 2)  # (b, 1, h, w)
        if self.fusion == "max":
            return torch.maximum(x * channel, x * spatial)
        return x * channel + x * spatial

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """With "add" one pass applies both gates; the gated maps are not written."""
        with full_precision(x):
            flat, channel = self._channel(x.flatten(2))
            direction, offset = self._direction(flat)
            if self.fusion == "add":
                y = polarized_gate(flat, channel, direction, offset, product=False, softmax=False)
            else:
                spatial = pixel_gate(pixel_logits(flat, direction, offset), softmax=False)
                by_channel = flat * channel.to(x.dtype)[:, :, None]
                y = torch.maximum(by_channel, flat * spatial.to(x.dtype)[:, None])
            return y.view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`, and gates of the channels."""
        with full_precision(x):
            flat = x.flatten(2)
            spatial = pixel_gate(pixel_logits(flat, *self._direction(flat)), softmax=False)
            return Maps(
                spatial=spatial.view(x.shape[0], 1, *x.shape[2:]), channel=self._channel(flat)[1]
            )

    def _channel(
        self, x: Float[Tensor, "b c n"]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"]]:
        """The map to go on with, and the gates of the channels."""
        flat, mean = mean_pool(x)
        hidden = self.reduce(mean.to(self.reduce.weight.dtype)).relu()
        return flat, self.expand(hidden).to(mean.dtype).sigmoid()

    def _direction(
        self, flat: Float[Tensor, "b c n"]
    ) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b 1"]]:
        kind, count = statistics_dtype(flat), flat.shape[0]
        weight, bias = self.score.weight.to(kind), self.score.bias.to(kind)
        return weight.expand(count, -1), bias[None].expand(count, -1)
