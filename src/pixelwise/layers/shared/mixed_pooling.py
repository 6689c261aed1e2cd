"""Mixed pooling module: a residual block with pyramid pooling beside strip pooling.

For a map x in R^(c x h x w), with m = c // 4 channels inside, 3x3 convolutions K, convolutions over
three neighbours R and C, and every one of them followed by a norm,

    p = relu(W1 x),  q = relu(W2 x)                    narrowed, for near and for far
    n = K0 * p + up(K1 * pool(p, s1)) + up(K2 * pool(p, s2))   means over s x s bins, near
    t_ij = (R * mean_j q)_i + (C * mean_i q)_j         means of whole rows and columns, far
    u = relu(K3 * relu(n)),  v = relu(K4 * relu(t))
    y = relu(x + W3 [u, v])

Source: Hou et al., "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", CVPR 2020,
https://arxiv.org/abs/2003.13328.
Reference: github.com/houqb/SPNet, models/customize.py (MIT), StripPooling. Differences: what is
seen of rows and columns is added as it is, where the authors resize both to the map.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.ops.binned_mean import binned_mean


class MixedPooling(ReferenceWeights):
    """Add to every pixel what is near, by bins, and what is far, by rows and columns.

    Args:
        in_channels: Channels c of the input and of the output, 4 or more.
        pool_sizes: Bins per axis of both pyramid levels.
        align_corners: How the levels are resized to the map; the authors keep the corners.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w, also smaller than the bins.

    Cost:
        3 c^2 + O(c) multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The output is not negative, so the block is not the identity for negative x. In training, one
    image is refused by its norms where one of them gets a single value per channel: a map with one
    row or one column, or a pyramid level of one bin.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv1_1": "narrow_near",
        "conv1_2": "narrow_far",
        "conv2_0": "squares",
        "conv2_1": "levels.0",
        "conv2_2": "levels.1",
        "conv2_3": "columns",
        "conv2_4": "rows",
        "conv2_5": "merge_near",
        "conv2_6": "merge_far",
        "conv3": "expand",
    }

    def __init__(
        self,
        in_channels: int,
        pool_sizes: tuple[int, ...] = (20, 12),
        *,
        align_corners: bool = True,
    ) -> None:
        super().__init__()
        at_least(4, in_channels=in_channels)
        if len(pool_sizes) != 2:
            raise InputError(
                f"pool_sizes={tuple(pool_sizes)}: must be the bins of two levels; e.g. (20, 12)"
            )
        at_least(1, pool_sizes=min(pool_sizes))
        width = in_channels // 4
        self.pool_sizes, self.align_corners = tuple(pool_sizes), align_corners
        self.narrow_near = conv_norm(in_channels, width)
        self.narrow_far = conv_norm(in_channels, width)
        self.squares = conv_norm(width, width, 3, activation=None)
        self.levels = nn.ModuleList(conv_norm(width, width, 3, activation=None) for _ in pool_sizes)
        self.rows, self.columns = _line(width), _line(width)
        self.merge_near = conv_norm(width, width, 3)
        self.merge_far = conv_norm(width, width, 3)
        self.expand = conv_norm(2 * width, in_channels, activation=None)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map with what is near and far, rectified."""
        near, far = self.narrow_near(x), self.narrow_far(x)
        bins = [
            level(binned_mean(near, size))
            for level, size in zip(self.levels, self.pool_sizes, strict=True)
        ]
        short = self.squares(near) + sum(self._resized(level, x) for level in bins)
        rows, columns = self.rows(far.mean(dim=3)), self.columns(far.mean(dim=2))
        crosses = rows[:, :, :, None] + columns[:, :, None, :]
        both = [self.merge_near(short.relu()), self.merge_far(crosses.relu())]
        return (x + self.expand(torch.cat(both, dim=1))).relu()

    def _resized(self, level: Tensor, x: Tensor) -> Tensor:
        sides = list(x.shape[2:])
        return F.interpolate(level, sides, mode="bilinear", align_corners=self.align_corners)


def _line(width: int) -> nn.Sequential:
    """A convolution over three neighbours, and a norm."""
    return nn.Sequential(
        nn.Conv1d(width, width, kernel_size=3, padding=1, bias=False), nn.BatchNorm1d(width)
    )
