"""Two gates that cross over: a channel gate from where, and a pixel gate from what.

For pixels x_n in R^c of one image, N of them, channel gates drawn from a map of weights are

    s_n = sigmoid((K * [mean_c x, max_c x])_n)    which pixels matter   (K: 7x7 convolution)
    a_c = sum_n s_n x_cn                          how strong a channel is there   (not a mean)
    y_cn = a_c x_cn

and pixel gates drawn from a vector of weights are

    g = W2 relu(W1 mean_n(x_n))                   which channels matter
    a_n = sum_c g_c x_cn                          how strong they are in this pixel
    y_cn = a_n x_cn

Source: no paper; two ideas in a note on attention for segmentation.
Reference: its classes Channel_Attention_With_Spatial, with two slips mended without which it does
not run, and Spatial_Attention_With_Channel. Difference: products of x with a gate are summed
without being written as maps.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, reduced
from pixelwise.ops.channel_pools import channel_pools
from pixelwise.ops.factor_gate import factor_gate
from pixelwise.ops.pixel_pools import mean_pool
from pixelwise.ops.running.precision import full_precision
from pixelwise.ops.weighted_sum import weighted_sum


class ChannelGateFromSpatial(AttentionLayer):
    """Multiply every channel by its sum over the pixels that matter.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Side of the convolution that weighs the pixels; odd.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 4 c + 2 kernel_size^2 multiply-adds per pixel; no map beside the result is kept.

    Raises:
        InputError: An option is out of range.

    The gate is a sum without a sigmoid: the output grows with the number of pixels and with the
    square of x, so a network wants a normalisation behind it.
    """

    key: ClassVar[str] = "channel_from_spatial"
    title: ClassVar[str] = "Channel attention with spatial"
    year: ClassVar[int | None] = None
    aliases: ClassVar[tuple[str, ...]] = ("CAWS",)
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    reference_keys: ClassVar[Mapping[str, str]] = {"conv": "score"}

    def __init__(self, channels: int, *, kernel_size: int = 7) -> None:
        super().__init__(channels)
        at_least(1, channels=channels, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise InputError(f"kernel_size={kernel_size}: must be odd; take one more or one less")
        self.score = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh the pixels, sum every channel over them, and multiply by that."""
        pooled = torch.stack([x.mean(dim=1), x.max(dim=1).values], dim=1)  # (b, 2, h, w)
        weights = self.score(pooled).sigmoid()  # (b, 1, h, w)
        gate = (weights * x).sum(dim=(2, 3), keepdim=True)  # (b, c, 1, 1)
        return x * gate

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Products of x with the weights are summed without being written as maps."""
        with full_precision(x):
            flat, gate, _ = self._gates(x)
            return factor_gate(flat, gate[:, :, None]).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights of the pixels, the same for every `at`, and gates of the channels."""
        with full_precision(x):
            _, gate, weights = self._gates(x)
            return Maps(spatial=weights, channel=gate)

    def _gates(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"], Float[Tensor, "b 1 h w"]]:
        """The map to go on with, the gates, and the weights of the pixels."""
        flat, largest, mean = channel_pools(x.flatten(2), None)
        pooled = torch.stack([mean, largest], dim=1).view(x.shape[0], 2, *x.shape[2:])
        weights = self.score(pooled.to(self.score.weight.dtype)).to(mean.dtype).sigmoid()
        flat, gate = weighted_sum(flat, weights.flatten(1), pixels=True)
        return flat, gate, weights


class SpatialGateFromChannel(AttentionLayer):
    """Multiply every pixel by the strength of the channels that matter.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio; the hidden width is `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        3 c multiply-adds per pixel; no map beside the result is kept.

    Raises:
        InputError: An option is out of range.

    The gate has no sigmoid: it may be negative, and the output grows with the square of x and
    beyond.
    """

    key: ClassVar[str] = "spatial_from_channel"
    title: ClassVar[str] = "Spatial attention with channel"
    year: ClassVar[int | None] = None
    aliases: ClassVar[tuple[str, ...]] = ("SAWC",)
    cost_exponent: float = 1.0
    lean_for_gradients: ClassVar[bool] = True
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    reference_keys: ClassVar[Mapping[str, str]] = {"fc1": "reduce", "fc2": "expand"}

    def __init__(self, channels: int, *, reduction: int = 16, hidden: int | None = None) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        self.reduce = nn.Linear(channels, width, bias=False)
        self.expand = nn.Linear(width, channels, bias=False)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh the channels, sum every pixel over them, and multiply by that."""
        weights = self.expand(self.reduce(x.mean(dim=(2, 3))).relu())  # (b, c)
        gate = torch.einsum("bc,bchw->bhw", weights, x)
        return x * gate[:, None]

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Products of x with the weights are summed without being written as maps."""
        with full_precision(x):
            flat, gate, _ = self._gates(x.flatten(2))
            return factor_gate(flat, gate[:, None]).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`, and weights of the channels."""
        with full_precision(x):
            _, gate, weights = self._gates(x.flatten(2))
            return Maps(spatial=gate.view(x.shape[0], 1, *x.shape[2:]), channel=weights)

    def _gates(
        self, x: Float[Tensor, "b c n"]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b n"], Float[Tensor, "b c"]]:
        """The map to go on with, the gates, and the weights of the channels."""
        flat, mean = mean_pool(x)
        hidden = self.reduce(mean.to(self.reduce.weight.dtype)).relu()
        weights = self.expand(hidden).to(mean.dtype)
        flat, gate = weighted_sum(flat, weights, pixels=False)
        return flat, gate, weights
