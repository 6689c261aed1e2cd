"""Strip pooling module: a gate from the means of whole rows and whole columns.

For a map x in R^(c x h x w),

    r = norm(W1 * mean_j x_ij)          what is in row i, and in the rows beside it   (c x h)
    t = norm(W2 * mean_i x_ij)          what is in column j, and beside it            (c x w)
    z_ij = relu(r_i + t_j)              what is in the cross of both strips
    g_ij = sigmoid(W3 z_ij + b3)        what of a pixel matters                       (c x h x w)
    y_ij = x_ij g_ij

where W1 * and W2 * are convolutions over three neighbours, without bias.

Source: Hou et al., "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", CVPR 2020,
https://arxiv.org/abs/2003.13328.
Reference: github.com/houqb/SPNet, models/resnet.py (MIT), SPBlock. Differences: SPBlock returns the
gate g, here `StripGate`, and its caller multiplies; plain means in place of adaptive pooling.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.reference import ReferenceWeights


class StripGate(ReferenceWeights):
    """The gate alone, for `outputs` channels."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv1": "mix_rows",
        "bn1": "norm_rows",
        "conv2": "mix_columns",
        "bn2": "norm_columns",
        "conv3": "expand",
    }

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.mix_rows = nn.Conv1d(channels, outputs, kernel_size=3, padding=1, bias=False)
        self.norm_rows = nn.BatchNorm1d(outputs)
        self.mix_columns = nn.Conv1d(channels, outputs, kernel_size=3, padding=1, bias=False)
        self.norm_columns = nn.BatchNorm1d(outputs)
        self.expand = nn.Conv2d(outputs, outputs, kernel_size=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """What of each pixel matters, from 0 to 1."""
        rows = self.norm_rows(self.mix_rows(x.mean(dim=3)))  # (b, o, h)
        columns = self.norm_columns(self.mix_columns(x.mean(dim=2)))  # (b, o, w)
        crosses = (rows[:, :, :, None] + columns[:, :, None, :]).relu()
        return self.expand(crosses).sigmoid()


class StripPooling(AttentionLayer):
    """Gate every pixel of every channel by what is in its row and in its column.

    Args:
        channels: Channels c of the input and of the output.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c^2 multiply-adds per pixel and 3 c^2 per row and column; memory linear in h * w.

    Raises:
        InputError: `channels` is below 1.

    In training, one image with a single row or column is refused by its norm: one value has no
    variance.
    """

    key: ClassVar[str] = "strip_pooling"
    title: ClassVar[str] = "Strip pooling module"
    year: ClassVar[int] = 2020
    aliases: ClassVar[tuple[str, ...]] = ("SPM", "SPBlock", "SPNet")
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {"": "gate"}

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = StripGate(channels, channels)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate every pixel by what is in its row and in its column."""
        return x * self.gate(x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        return Maps(spatial=self.gate(x))
