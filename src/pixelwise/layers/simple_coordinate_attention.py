"""Simple coordinate attention: one gate per value, from the sum of its row's and its column's.

For a map x of h rows and w columns,

    r_i = mean_j x_ij                           what is in row i
    t_j = mean_i x_ij                           what is in column j
    a_i = Wh silu(W1 r_i + b1) + bh
    e_j = Ww silu(W1 t_j + b1) + bw             W1 is that of the rows
    y_ij = x_ij * gate(a_i + e_j)               with `skip`, added to x

Source: no paper of its own; timm, after Hou et al., https://arxiv.org/abs/2103.02907.
Reference: timm/layers/coord_attn.py (Apache-2.0), SimpleCoordAttn. Difference: the hidden width is
`channels // reduction`, at least 8, where timm rounds it to a multiple of 8; give it as `hidden`.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.layers.squeeze_excitation import GATES
from pixelwise.ops.axis_means import axis_means

LEAST_HIDDEN = 8


class SimpleCoordinateAttention(AttentionLayer):
    """Gate every value by what is in its row and in its column together.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio; the hidden width is `channels // reduction`, at least 8.
        hidden: Hidden width itself, in place of `reduction`.
        bias: Whether the linear maps have biases.
        gate: "sigmoid", or "hard_sigmoid", min(max(z + 3, 0), 6) / 6.
        skip: Add the input to the result.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 5 c operations per pixel and c * hidden multiply-adds per row and column.

    Raises:
        InputError: An option is out of range.

    There is no norm, and training and evaluation are the same.
    """

    key: ClassVar[str] = "scoord"
    title: ClassVar[str] = "Simple coordinate attention"
    year: ClassVar[int | None] = None
    aliases: ClassVar[tuple[str, ...]] = ("SimpleCoordAttn",)
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "fc1": "reduce",
        "fc_h": "expand_rows",
        "fc_w": "expand_columns",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 6,
        hidden: int | None = None,
        bias: bool = True,
        gate: str = "sigmoid",
        skip: bool = False,
    ) -> None:
        super().__init__(channels)
        at_least(1, reduction=reduction)
        width = max(LEAST_HIDDEN, channels // reduction) if hidden is None else hidden
        at_least(1, hidden=width)
        one_of(tuple(GATES), gate=gate)
        self.gate, self.skip = gate, skip
        self.reduce = nn.Linear(channels, width, bias=bias)
        self.expand_rows = nn.Linear(width, channels, bias=bias)
        self.expand_columns = nn.Linear(width, channels, bias=bias)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate x by the sum of what its rows and what its columns say."""
        gated = x * self._gate(x.mean(dim=3), x.mean(dim=2))
        return gated + x if self.skip else gated

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Both means in one pass, and one product."""
        x, rows, columns = axis_means(x)
        gate = self._gate(rows, columns).to(x.dtype)
        return formatted(torch.addcmul(x, x, gate) if self.skip else x * gate, x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        return Maps(spatial=self._gate(x.mean(dim=3), x.mean(dim=2)))

    def _gate(
        self, rows: Float[Tensor, "b c h"], columns: Float[Tensor, "b c w"]
    ) -> Float[Tensor, "b c h w"]:
        height = rows.shape[2]
        hidden = F.silu(self.reduce(torch.cat([rows, columns], dim=2).mT))  # (b, h + w, hidden)
        of_rows = self.expand_rows(hidden[:, :height]).mT[:, :, :, None]
        of_columns = self.expand_columns(hidden[:, height:]).mT[:, :, None, :]
        return GATES[self.gate](of_rows + of_columns)
