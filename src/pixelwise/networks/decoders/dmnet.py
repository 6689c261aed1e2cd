"""Dynamic multi-scale network: filters that the picture itself makes, of several sizes.

For each filter of s x s pixels, s = 1, 3, 5, 7, on the last feature map x,

    K = Wk * bins_s(x) + bk                 one filter per picture and channel: a mean per tap
    y = relu(norm(Wy * x))
    c_s = relu(norm(K * y))                 each channel with its own filter, zeros around
    logits = W1 dropout(relu(norm(W3 * [x, c_1, ...])))    and one convolution on x3, as an
                                                           auxiliary output

Source: He et al., "Dynamic Multi-Scale Filters for Semantic Segmentation", 2019, ICCV,
https://openaccess.thecvf.com/content_ICCV_2019/html/He_Dynamic_Multi-Scale_Filters_for_Semantic_Segmentation_ICCV_2019_paper.html.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/dm_head.py
(Apache-2.0), version 1.2.2: same arithmetic; `fusion` is a 1x1 convolution on each c_s.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.joined import JoinedContexts
from pixelwise.networks.parts import conv_modules, inner_width
from pixelwise.ops.binned_mean import binned_mean

MOST_SIZES = 16
"""Checkpoints with more filters than this have no names here."""


class DynamicFilter(ReferenceWeights):
    """A convolution of each channel alone, whose weights the picture makes."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        "filter_gen_conv": "taps",
        **conv_modules({"input_redu_conv": "reduce", "fusion_conv": "fuse"}),
        "norm": "norm",
    }

    def __init__(self, channels: int, width: int, size: int, *, fusion: bool) -> None:
        super().__init__()
        self.size = size
        self.taps = nn.Conv2d(channels, width, kernel_size=1)
        self.reduce = conv_norm(channels, width)
        self.norm = nn.BatchNorm2d(width)
        self.fuse = conv_norm(width, width) if fusion else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """The reduced map, each channel filtered."""
        taps = self.taps(binned_mean(x, self.size))
        y = self.norm(self._filtered(self.reduce(x), taps)).relu()
        return y if self.fuse is None else self.fuse(y)

    def _filtered(self, y: Tensor, taps: Tensor) -> Tensor:
        if self.size == 1:
            return y * taps
        before, after = self.size // 2, (self.size - 1) // 2
        padded = F.pad(y, (before, after, before, after))
        if torch.compiler.is_exporting():
            return _summed(padded, taps, y)
        (b, c, h, w), groups = padded.shape, y.shape[0] * y.shape[1]
        kernels = taps.reshape(groups, 1, self.size, self.size)
        return F.conv2d(padded.reshape(1, b * c, h, w), kernels, groups=groups).reshape(y.shape)


def _summed(padded: Tensor, taps: Tensor, y: Tensor) -> Tensor:
    """The filtered map as a sum of shifted ones: ONNX has no convolution of free groups."""
    rows, columns = y.shape[2:]
    total = torch.zeros_like(y)
    for i in range(taps.shape[2]):
        for j in range(taps.shape[3]):
            shifted = padded.narrow(2, i, rows).narrow(3, j, columns)
            total = total + shifted * taps[:, :, i : i + 1, j : j + 1]
    return total


class DMNet(JoinedContexts):
    """Filters of several sizes that the picture makes, beside the last feature map.

    Args: as `JoinedContexts` has them, and
        filter_sizes: Side of each filter.
        fusion: One more 1x1 convolution behind each filter.

    Raises: InputError for a filter or a width below 1.
    """

    key = "dmnet"
    title = "Dynamic multi-scale network"
    year = 2019
    aliases = ("DMHead",)
    summary = "dynamic filters of 1, 3, 5 and 7 pixels, made from the picture itself"
    source = "He et al. 2019, ICCV, Dynamic Multi-Scale Filters for Semantic Segmentation"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **JoinedContexts.reference_keys,
        **{f"dcm_modules.{i}": f"filters.{i}" for i in range(MOST_SIZES)},
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        filter_sizes: Sequence[int] = (1, 3, 5, 7),
        fusion: bool = False,
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        last = channels[-1]
        hidden = inner_width(last, width)
        at_least(1, filter_sizes=min(filter_sizes, default=1))
        self.filters = nn.ModuleList(
            DynamicFilter(last, hidden, size, fusion=fusion) for size in filter_sizes
        )
        self.join = conv_norm(last + len(self.filters) * hidden, hidden, 3)
        self.add_heads(channels, outputs, width=hidden, auxiliary=auxiliary)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map and its filtered forms."""
        x = features[-1]
        return self.joined(x, [filtered(x) for filtered in self.filters])
