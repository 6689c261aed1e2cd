"""Efficient channel attention: one gate per channel, from its mean and its neighbours' means.

For pixels x_n in R^c of one image,

    z = mean_n(x_n)                               one number per channel
    g_c = sigmoid(sum_j v_j z_(c + j))            what the next channels say, |j| <= k // 2
    y_n = x_n * g
    k = odd(|log2(c) / gamma + beta / gamma|)     wider for more channels

where odd(t) is the whole part of t, plus one where that is even.

Source: Wang et al., "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural
Networks", CVPR 2020, https://arxiv.org/abs/1910.03151.
Reference: written from the paper; parameters are called as in github.com/BangguWu/ECANet,
models/eca_module.py (MIT), where k is an argument. No recorded numbers. Difference: none known.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import AttentionLayer, Maps
from pixelwise.layers.shared.channel_reach import channel_reach
from pixelwise.ops.factor_gate import factor_gate
from pixelwise.ops.pixel_pools import mean_pool
from pixelwise.ops.running.precision import full_precision


class EfficientChannelAttention(AttentionLayer):
    """Gate every channel by a few channels beside it.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Channels k that a gate sees; odd. By default it follows from c.
        gamma: Divides log2(c) in the rule for k.
        beta: Is added to log2(c) in the rule for k.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 c operations per pixel, k parameters in all; no map beside the result is kept.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "eca"
    title: ClassVar[str] = "Efficient channel attention"
    year: ClassVar[int] = 2020
    aliases: ClassVar[tuple[str, ...]] = (
        "ECANet",
        "ECA_layer",
        "EcaModule",
        "ECA block",
        "ECAAttention",
    )
    cost_exponent: float = 1.0
    lean_for_gradients: ClassVar[bool] = True
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    reference_keys: ClassVar[Mapping[str, str]] = {"conv": "score"}

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int | None = None,
        gamma: float = 2.0,
        beta: float = 1.0,
    ) -> None:
        super().__init__(channels)
        kernel_size = channel_reach(channels, kernel_size, gamma, beta)
        self.score = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Convolve the means along the channels, and gate the channels by that."""
        mean = x.mean(dim=(2, 3))  # (b, c)
        gate = self.score(mean[:, None])[:, 0].sigmoid()
        return x * gate[:, :, None, None]

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The gradients of the mean and of the product are one map, added up in place."""
        with full_precision(x):
            flat, gate = self._gate(x.flatten(2))
            return factor_gate(flat, gate[:, :, None]).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the channels, the same for every `at`."""
        with full_precision(x):
            return Maps(channel=self._gate(x.flatten(2))[1])

    def _gate(
        self, x: Float[Tensor, "b c n"]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"]]:
        """The map to go on with, and the gates."""
        flat, mean = mean_pool(x)
        weight = self.score.weight.to(mean.dtype)
        gate = F.conv1d(mean[:, None], weight, padding=weight.shape[2] // 2)[:, 0]
        return flat, gate.sigmoid()
