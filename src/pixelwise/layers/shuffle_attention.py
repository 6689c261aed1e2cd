"""Shuffle attention: of each group, half the channels gated as wholes, half pixel by pixel.

For each of G groups of the channels of one image, with halves a and b,

    m_c = mean_n(a_cn)
    u_cn = a_cn sigmoid(w_c m_c + e_c)          which channels matter
    z = norm(b)                                 each channel over its own pixels
    v_cn = b_cn sigmoid(p_c z_cn + q_c)         which pixels matter
    y = shuffle([u, v])                         all channels of the first half and of the second

where w, e, p, q and the norm have one number per channel of a half group, shared by all groups.
Of c channels behind one another, shuffle puts channel c / 2 + i behind channel i.

Source: Zhang and Yang, "SA-Net: Shuffle Attention for Deep Convolutional Neural Networks", ICASSP
2021, https://arxiv.org/abs/2102.00240.
Reference: github.com/wofmanaf/SA-Net, models/sa_resnet.py, sa_layer (its numbers only: it has no
licence file, and was not read). Differences: 8 groups by default, where the authors have 64, which
take 128 channels at least; a single pixel is no error.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.parts import GroupNorm, reset
from pixelwise.ops.channel_shuffle import channel_shuffle

Halves = tuple[Float[Tensor, "b groups half h w"], Float[Tensor, "b groups half h w"]]


class ShuffleAttention(AttentionLayer):
    """Gate half of the channels by their means, the others pixel by pixel, and shuffle all.

    Args:
        channels: Channels c of the input and of the output.
        groups: Groups G that share their numbers; 2 G divides c.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 6 operations per value, and 3 c / G parameters.

    Raises:
        InputError: `groups` is below 1, or twice as many do not divide the channels.

    The channels of the output have another order than those of the input, so that a sum of both
    adds channels that do not belong together. At the start all gates are sigmoid(1) = 0.73.
    """

    key: ClassVar[str] = "shuffle"
    title: ClassVar[str] = "Shuffle attention"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = ("SANet", "SA-Net", "sa_layer")
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "cweight": "channel_weight",
        "cbias": "channel_bias",
        "sweight": "pixel_weight",
        "sbias": "pixel_bias",
        "gn": "norm",
    }

    def __init__(self, channels: int, *, groups: int = 8) -> None:
        super().__init__(channels)
        at_least(1, groups=groups)
        if channels % (2 * groups):
            raise InputError(
                f"groups={groups}: twice as many must divide channels={channels}; "
                "take fewer groups, or another number of channels"
            )
        self.groups, half = groups, channels // (2 * groups)
        self.channel_weight = nn.Parameter(torch.empty(half))
        self.channel_bias = nn.Parameter(torch.empty(half))
        self.pixel_weight = nn.Parameter(torch.empty(half))
        self.pixel_bias = nn.Parameter(torch.empty(half))
        self.norm = GroupNorm(half, half)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: all gates are the same."""
        reset(self.norm)
        for weight in (self.channel_weight, self.pixel_weight):
            nn.init.zeros_(weight)
        for bias in (self.channel_bias, self.pixel_bias):
            nn.init.ones_(bias)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate each half of every group in its own way, and shuffle."""
        first, second = self._halves(x)
        channel_gate, pixel_gate = self._gates(first, second)
        gated = torch.stack([first * channel_gate, second * pixel_gate], dim=2)
        return channel_shuffle(gated.flatten(1, 3), 2)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the second halves (a head is a channel), and of the channels of the first.

        Both are in the order of the input, and the same for every `at`.
        """
        channel_gate, pixel_gate = self._gates(*self._halves(x))
        return Maps(spatial=pixel_gate.flatten(1, 2), channel=channel_gate.flatten(1))

    def _halves(self, x: Float[Tensor, "b c h w"]) -> Halves:
        """The first and the second half of every group."""
        b, c, h, w = x.shape
        parts = x.reshape(b, self.groups, 2, c // (2 * self.groups), h, w)
        return parts[:, :, 0], parts[:, :, 1]

    def _gates(
        self, first: Float[Tensor, "b groups half h w"], second: Float[Tensor, "b groups half h w"]
    ) -> tuple[Float[Tensor, "b groups half 1 1"], Float[Tensor, "b groups half h w"]]:
        """Gates of channels of the first halves, and of pixels of the second."""
        mean = first.mean(dim=(3, 4), keepdim=True)
        channel = self.channel_weight[:, None, None] * mean + self.channel_bias[:, None, None]
        normed = self.norm(second.flatten(0, 1)).reshape(second.shape)
        pixel = self.pixel_weight[:, None, None] * normed + self.pixel_bias[:, None, None]
        return channel.sigmoid(), pixel.sigmoid()
