"""Mixed local channel attention: channel gates of each part of a picture and of the whole, mixed.

For a map x of h x w pixels, and s x s bins that cover it,

    l_kc = mean_{n in R_k}(x_cn)                       a mean per bin k and channel
    g_c = sigmoid(sum_j v_j mean_k l_(k, c + j))       the whole picture, channels beside it
    u_m = sigmoid(sum_j t_j l_(m + j))                 the bins, all numbers in one row
    a_kc = (1 - q) g_c + q u_(k c' + c)                mixed
    y_cn = x_cn mean_{k over n}(a_kc)                  each pixel by the bins that it lies in

In the row of all numbers the channels of the first bin come first, then those of the next: t mixes
channels side by side, and the last of a bin with the first of the next. c' is the number of
channels, and both kernels have k taps, k = odd(|log2(c') / gamma + beta / gamma|).

Source: Wan et al., "Mixed local channel attention for object detection", Engineering Applications
of Artificial Intelligence 123, 2023, https://doi.org/10.1016/j.engappai.2023.106442.
Reference: github.com/wandahangFY/MLCA, MLCA.py (its numbers only: the code is GPL-3.0 and was not
read). The mean of the picture is that of the bins, not of the pixels, where s does not divide the
sides, as there. Difference: the gates come by one product per axis, in place of pooling.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, in_range
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.channel_reach import channel_reach
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.binned_mean import binned_mean, finer_mean
from pixelwise.ops.running.precision import full_precision


class MixedLocalChannelAttention(AttentionLayer):
    """Gate every channel by what is in a part of the picture, and in all of it.

    Args:
        channels: Channels c of the input and of the output.
        bins: Parts s per axis.
        local_weight: Share q of the parts in a gate, from 0 to 1; the rest is the whole picture's.
        kernel_size: Channels that a gate sees; odd. By default it follows from c.
        gamma: Divides log2(c) in the rule for the kernel.
        beta: Is added to log2(c) in the rule for the kernel.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w, also smaller than the parts are many.

    Cost:
        About 2 s + 4 operations per value, and a handful of parameters in all.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "mlca"
    title: ClassVar[str] = "Mixed local channel attention"
    year: ClassVar[int] = 2023
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {"conv": "score", "conv_local": "score_local"}

    def __init__(
        self,
        channels: int,
        *,
        bins: int = 5,
        local_weight: float = 0.5,
        kernel_size: int | None = None,
        gamma: float = 2.0,
        beta: float = 1.0,
    ) -> None:
        super().__init__(channels)
        at_least(1, bins=bins)
        in_range(0.0, 1.0, local_weight=local_weight)
        taps = channel_reach(channels, kernel_size, gamma, beta)
        self.bins, self.local_weight = bins, local_weight
        self.score = nn.Conv1d(1, 1, taps, padding=taps // 2, bias=False)
        self.score_local = nn.Conv1d(1, 1, taps, padding=taps // 2, bias=False)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate each pixel by the bins that it lies in."""
        gates = self._gates(F.adaptive_avg_pool2d(x, self.bins))
        return x * F.adaptive_avg_pool2d(gates, (x.shape[2], x.shape[3]))

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The gates of pixels are a product with one matrix per axis."""
        return formatted(x * self._pixel_gates(x), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        return Maps(spatial=self._pixel_gates(x))

    def _pixel_gates(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        gates = self._gates(binned_mean(x, self.bins))
        with full_precision(x):
            return finer_mean(gates.to(x.dtype), x)

    def _gates(self, means: Float[Tensor, "b c s s"]) -> Float[Tensor, "b c s s"]:
        """Gates of all bins and channels from their means."""
        whole = self.score(means.mean(dim=(2, 3))[:, None])[:, 0].sigmoid()  # (b, c)
        row = means.permute(0, 2, 3, 1).flatten(1)  # (b, s s c), channels fastest
        local = self.score_local(row[:, None])[:, 0].sigmoid()
        local = local.reshape(-1, self.bins, self.bins, self.channels).permute(0, 3, 1, 2)
        return (1 - self.local_weight) * whole[:, :, None, None] + self.local_weight * local
