"""Coordinate attention: a gate for every row and every column of every channel.

For a map x of h rows and w columns,

    r_ci = mean_j x_cij                         what is in row i
    t_cj = mean_i x_cij                         what is in column j
    z = hswish(norm(W1 [r, t] + b1))            both, jointly narrowed    (h + w positions)
    a_ci = sigmoid(Wh z_i + bh)                 which rows matter
    e_cj = sigmoid(Ww z_(h + j) + bw)           which columns matter
    y_cij = x_cij a_ci e_cj                     with `skip`, added to x

Source: Hou et al., "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021,
https://arxiv.org/abs/2103.02907.
Reference: github.com/houqb/CoordAttention, coordatt.py (MIT). Differences: `oup` is either the
same as the input's or 1, here `shared`; plain means in place of adaptive pooling, which some
exporters get wrong. timm/layers/coord_attn.py (Apache-2.0), CoordAttn, is `bias=False` with a
`hidden` of c / 24, rounded to a multiple of 8; there `norm`, `gate` and `skip` are options.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.squeeze_excitation import GATES
from pixelwise.ops.axis_gate import axis_gate
from pixelwise.ops.axis_means import axis_means

LEAST_HIDDEN = 8


class CoordinateAttention(AttentionLayer):
    """Gate every channel by its row and by its column.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio; the hidden width is `channels // reduction`, at least 8.
        shared: One gate per row and column for all channels, instead of one for each.
        hidden: Hidden width itself, in place of `reduction`.
        bias: Whether the convolutions have biases; timm's have none.
        norm: Batch norm behind the first convolution.
        gate: "sigmoid", or "hard_sigmoid", min(max(z + 3, 0), 6) / 6.
        skip: Add the input to the result.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 4 c operations per pixel and c * hidden multiply-adds per row and column.

    Raises:
        InputError: An option is out of range.

    In training, the statistics of the norm run over rows and columns jointly.
    """

    key: ClassVar[str] = "coord"
    title: ClassVar[str] = "Coordinate attention"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = (
        "CoordAtt",
        "CoordAttention",
        "CoordAttn",
        "coordinate attention block",
    )
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv1": "reduce",
        "bn1": "norm",
        "conv_h": "expand_rows",
        "conv_w": "expand_columns",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 32,
        shared: bool = False,
        hidden: int | None = None,
        bias: bool = True,
        norm: bool = True,
        gate: str = "sigmoid",
        skip: bool = False,
    ) -> None:
        super().__init__(channels)
        at_least(1, reduction=reduction)
        width = max(LEAST_HIDDEN, channels // reduction) if hidden is None else hidden
        at_least(1, hidden=width)
        one_of(tuple(GATES), gate=gate)
        gates, self.gate, self.skip = 1 if shared else channels, gate, skip
        self.reduce = nn.Conv1d(channels, width, kernel_size=1, bias=bias)
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.expand_rows = nn.Conv1d(width, gates, kernel_size=1, bias=bias)
        self.expand_columns = nn.Conv1d(width, gates, kernel_size=1, bias=bias)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate every channel by what is in its rows, and by what is in its columns."""
        height = x.shape[2]
        means = torch.cat([x.mean(dim=3), x.mean(dim=2)], dim=2)  # (b, c, h + w)
        hidden, gate = self._hidden(means), GATES[self.gate]
        rows, columns = hidden[:, :, :height], hidden[:, :, height:]
        row_gate = gate(self.expand_rows(rows))[:, :, :, None]  # (b, c, h, 1)
        column_gate = gate(self.expand_columns(columns))[:, :, None, :]  # (b, c, 1, w)
        gated = x * row_gate * column_gate
        return gated + x if self.skip else gated

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One pass takes both means, one applies both gates."""
        x, rows, columns = self._gates(x)
        channels = x.shape[1]  # a shared gate is repeated, without a copy
        gated = axis_gate(x, rows.expand(-1, channels, -1), columns.expand(-1, channels, -1))
        return gated + x if self.skip else gated

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel (one if shared)."""
        _, rows, columns = self._gates(x)
        return Maps(spatial=rows[:, :, :, None] * columns[:, :, None, :])

    def _gates(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b gates h"], Float[Tensor, "b gates w"]]:
        """The map to go on with, and both gates."""
        x, *means = axis_means(x)
        hidden, gate = self._hidden(torch.cat(means, dim=2)), GATES[self.gate]
        rows, columns = torch.split(hidden, [x.shape[2], x.shape[3]], dim=2)
        row_gate, column_gate = gate(self.expand_rows(rows)), gate(self.expand_columns(columns))
        return x, row_gate.to(x.dtype), column_gate.to(x.dtype)

    def _hidden(self, means: Float[Tensor, "b c n"]) -> Float[Tensor, "b d n"]:
        narrow = self.reduce(means)
        return F.hardswish(narrow if self.norm is None else self.norm(narrow))
