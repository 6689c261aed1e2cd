"""Triplet attention: three gates, each from a convolution across two of the three axes.

For a map x of c channels, h rows and w columns, and each of its axes a,

    z_a = [max_a x, mean_a x]                   two maps over the other two axes
    g_a = sigmoid(norm(K_a * z_a))              a 7x7 convolution without bias
    y_cij = x_cij (g_cj + g_ic + g_ij) / 3      from pools over rows, columns and channels

where K_a is of its own for each axis. Without the gate of the pixels g_ij it is the mean of two.

Source: Misra et al., "Rotate to Attend: Convolutional Triplet Attention Module", WACV 2021,
https://arxiv.org/abs/2010.03045.
Reference: github.com/landskape-ai/triplet-attention, triplet_attention.py (MIT). Difference: the
map is never turned; channels take the place of rows or columns in the gates alone.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.running.precision import statistics_dtype

KERNEL = 7
MOMENTUM = 0.01
CHANNELS, ROWS, COLUMNS = 1, 2, 3


class _Gate(nn.Module):
    """The gate over two axes, from two pools over the third."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Conv2d(2, 1, KERNEL, padding=KERNEL // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=MOMENTUM)

    def forward(self, pools: Float[Tensor, "b 2 i j"]) -> Float[Tensor, "b 1 i j"]:
        """What of each place matters, from 0 to 1."""
        return self.norm(self.score(pools)).sigmoid()


class TripletAttention(AttentionLayer):
    """Gate every value by three neighbourhoods: among columns, among rows, and among both.

    Args:
        channels: Channels c of the input and of the output; no parameter depends on them.
        spatial: Whether the pixels have a gate too, beside those of channels and columns, and of
            rows and channels.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 10 operations per value and 98 multiply-adds per place of the three gates;
        300 parameters.

    Raises:
        InputError: `channels` is below 1.

    Channels are treated as if their order meant something: a gate sees three to each side. The
    running statistics of the norms move by 0.01 a step.
    """

    key: ClassVar[str] = "triplet"
    title: ClassVar[str] = "Triplet attention"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = ("Rotate to Attend", "convolutional triplet attention")
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "cw.conv.conv": "of_columns.score",
        "cw.conv.bn": "of_columns.norm",
        "hc.conv.conv": "of_rows.score",
        "hc.conv.bn": "of_rows.norm",
        "hw.conv.conv": "of_pixels.score",
        "hw.conv.bn": "of_pixels.norm",
        "ChannelGateH.spatial.conv": "of_columns.score",
        "ChannelGateH.spatial.bn": "of_columns.norm",
        "ChannelGateW.spatial.conv": "of_rows.score",
        "ChannelGateW.spatial.bn": "of_rows.norm",
        "SpatialGate.spatial.conv": "of_pixels.score",
        "SpatialGate.spatial.bn": "of_pixels.norm",
    }

    def __init__(self, channels: int, *, spatial: bool = True) -> None:
        super().__init__(channels)
        self.of_columns = _Gate()
        self.of_rows = _Gate()
        self.of_pixels = _Gate() if spatial else None

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate x by the mean of three gates, each from what is largest and mean along an axis."""
        columns = self.of_columns(_pools(x, ROWS))[:, 0, :, None, :]  # (b, c, 1, w)
        rows = self.of_rows(_pools(x, COLUMNS).mT)[:, 0].mT[:, :, :, None]  # (b, c, h, 1)
        gated = x * columns + x * rows
        if self.of_pixels is None:
            return gated / 2
        return (gated + x * self.of_pixels(_pools(x, CHANNELS))) / 3

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One product, with the mean of the gates."""
        return formatted(x * self._factor(x).to(x.dtype), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Means of the gates at each pixel, the same for every `at`; a head is a channel."""
        return Maps(spatial=self._factor(x))

    def _factor(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        columns = self.of_columns(_pools(x, ROWS))[:, 0, :, None, :]
        rows = self.of_rows(_pools(x, COLUMNS).mT)[:, 0].mT[:, :, :, None]
        if self.of_pixels is None:
            return columns / 2 + rows / 2
        return columns / 3 + (rows / 3 + self.of_pixels(_pools(x, CHANNELS)) / 3)


def _pools(x: Float[Tensor, "b c h w"], axis: int) -> Float[Tensor, "b 2 i j"]:
    """The largest and the mean along an axis; the mean of half types is summed in float32."""
    mean = x.mean(dim=axis, dtype=statistics_dtype(x)).to(x.dtype)
    return torch.stack([x.max(dim=axis).values, mean], dim=1)
