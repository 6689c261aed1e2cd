"""Channel prior convolutional attention: channel gates first, then strips of several lengths.

For a map x in R^(c x h x w), with one 1x1 convolution W, b in three places,

    z = gelu(W x + b)
    h(p) = M2 relu(M1 p + m1) + m2                      a bottleneck, shared by the pools
    v = z * (sigmoid(h(mean_n z)) + sigmoid(h(max_n z)))    which channels matter, from 0 to 2
    u = D5 * v + d                                      5x5, each channel by itself
    s = u + sum_k C_k * (R_k * u + r_k) + e_k           k x 1 after 1 x k, for k = 7, 11, 21
    a = W s + b                                         which pixels matter, of either sign
    y = W (a * v) + b

Source: Huang et al., "Channel prior convolutional attention for medical image segmentation",
Computers in Biology and Medicine 178, 2024, https://arxiv.org/abs/2306.05196.
Reference: github.com/Cuthbert-Huang/CPCANet, nnunet/network_architecture/CPCANet.py (Apache-2.0),
RepBlock, written from its equations. Figures of the paper have W once, over s, and a product at the
end; the released code, and this, have the same W and b before, over and behind. Difference: none
known.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import AttentionLayer, Heads, Maps, reduced
from pixelwise.layers.shared.convolutional_gate import Apply, called, convolved
from pixelwise.layers.shared.pointwise import formatted, product

LENGTHS = (7, 11, 21)


class ChannelPriorConvolutionalAttention(AttentionLayer):
    """Weigh the channels by their mean and maximum, then the pixels by strips around them.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio of the channel gates; the hidden width is
            `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c (3 c + 103) multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    Nothing is added to the input. A pixel sees 25x25 pixels around it, beside the pools.
    """

    key: ClassVar[str] = "cpca"
    title: ClassVar[str] = "Channel prior convolutional attention"
    year: ClassVar[int] = 2024
    aliases: ClassVar[tuple[str, ...]] = ("CPCANet",)
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv": "mix",
        "ca.fc1": "reduce",
        "ca.fc2": "expand",
        "dconv5_5": "square",
        **{f"dconv1_{length}": f"rows.{i}" for i, length in enumerate(LENGTHS)},
        **{f"dconv{length}_1": f"columns.{i}" for i, length in enumerate(LENGTHS)},
    }

    def __init__(self, channels: int, *, reduction: int = 4, hidden: int | None = None) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)

        def of_each_channel(height: int, width: int) -> nn.Conv2d:
            padding = (height // 2, width // 2)
            return nn.Conv2d(channels, channels, (height, width), padding=padding, groups=channels)

        self.mix = nn.Conv2d(channels, channels, 1)
        self.reduce = nn.Linear(channels, width)
        self.expand = nn.Linear(width, channels)
        self.square = of_each_channel(5, 5)
        self.rows = nn.ModuleList(of_each_channel(1, length) for length in LENGTHS)
        self.columns = nn.ModuleList(of_each_channel(length, 1) for length in LENGTHS)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh channels, then pixels, with the same 1x1 convolution before, between and behind."""
        z = F.gelu(self.mix(x))
        v = z * self._channel_gate(z)[:, :, None, None]
        return self.mix(self._weights(v) * v)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Matrix products, and depthwise convolutions in the layout in which they are quick."""
        z = F.gelu(self._mixed(x))
        v = z * self._channel_gate(z)[:, :, None, None]
        return formatted(self._mixed(self._mixed(self._seen(v, convolved)) * v), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights of the pixels, of either sign (a head is a channel), and of the channels, 0 to 2.

        Both are the same for every `at`, and those of what the first convolution makes of x.
        """
        z = F.gelu(self.mix(x))
        gate = self._channel_gate(z)
        return Maps(spatial=self._weights(z * gate[:, :, None, None]), channel=gate)

    def _channel_gate(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        pools = z.mean(dim=(2, 3)), z.flatten(2).max(dim=2).values
        mean, largest = (self.expand(self.reduce(pool).relu()).sigmoid() for pool in pools)
        return mean + largest

    def _weights(self, v: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.mix(self._seen(v, called))

    def _seen(self, v: Float[Tensor, "b c h w"], apply: Apply) -> Float[Tensor, "b c h w"]:
        u = s = apply(self.square, v)
        for rows, columns in zip(self.rows, self.columns, strict=True):
            s = s + apply(columns, apply(rows, u))
        return s

    def _mixed(self, v: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return product(self.mix.weight.flatten(1), self.mix.bias, v.flatten(2)).view(v.shape)
