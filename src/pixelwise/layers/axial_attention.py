"""Axial attention: every pixel attends along its column and along its row.

For pixels x_i in R^c, and each of m heads of width d, in the column C(i) of a pixel,

    q_i, k_j, v_j = Wq x_i, Wk x_j, Wv x_j
    A_ij = softmax_{j in C(i)}(q_i . k_j / sqrt(d))     where pixel i looks in its column
    f_i = Wo [sum_j A_ij v_j] + bo                      what it sees there, all heads

and likewise g_i in its row, with weights of its own. Then

    y_i = f_i + g_i

or, with `sequential`, the rows attend to what the columns have seen, so that one layer has heard
of the whole map. There is no norm, no position and nothing added to the input.

Source: Ho et al., "Axial Attention in Multidimensional Transformers", 2019,
https://arxiv.org/abs/1912.12180.
Reference: github.com/xmu-xiaoma666/External-Attention-pytorch, model/attention/Axial_attention.py
(MIT), a copy of lucidrains/axial-attention. Differences: channels come first, there are two axes,
and heads need not divide the channels where their width is given.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, pixel_place
from pixelwise.layers.shared.parts import reset
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.attention import attention
from pixelwise.ops.running.precision import full_precision, statistics_dtype

THEIRS = {"to_q": "query", "to_kv": "keys_values", "to_out": "project"}


class AxialAttention(AttentionLayer):
    """Give every pixel what it sees in its column and in its row.

    Args:
        channels: Channels c of the input and of the output.
        heads: Heads m of each attention.
        head_width: Width d of a head; None is `channels // heads`, and heads divide the channels.
        sequential: Rows attend to what columns have seen; else both see the input, and are added.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        8 c m d + 2 (h + w) m d multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "axial"
    title: ClassVar[str] = "Axial attention"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = ("Axial-DeepLab", "axial transformer")
    cost_exponent: float = 1.5
    max_memory: int | None = None
    """Bytes for the weights of pairs that exist at a time; `limit_memory` sets it."""
    reference_keys: ClassVar[Mapping[str, str]] = {
        f"axial_attentions.{number}.fn.{theirs}": f"{axis}.{ours}"
        for number, axis in enumerate(("columns", "rows"))
        for theirs, ours in THEIRS.items()
    }

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        head_width: int | None = None,
        sequential: bool = False,
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads)
        if head_width is None:
            if channels % heads:
                raise InputError(
                    f"heads={heads}: must divide channels={channels}; "
                    "choose another number, or give the width of a head as head_width"
                )
            head_width = channels // heads
        at_least(1, head_width=head_width)
        self.sequential = sequential
        self.columns = _LineAttention(channels, heads, head_width)
        self.rows = _LineAttention(channels, heads, head_width)

    def reset_parameters(self) -> None:
        """Initialise again, as torch does."""
        reset(self.columns, self.rows)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Attention inside of each column, and inside of each row."""
        down = self.columns(x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1)  # w lines of h pixels
        across = self.rows((down if self.sequential else x).permute(0, 2, 3, 1))
        across = across.permute(0, 3, 1, 2)
        return across if self.sequential else down + across

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One product for the projections of each axis, and no weights kept."""
        down = self._down(x)
        across = self.rows.lean(
            (down if self.sequential else x).permute(0, 2, 3, 1), self.max_memory
        )
        across = across.permute(0, 3, 1, 2)
        return formatted(across if self.sequential else down + across, x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees its column, by head, and then its row, by head.

        With `sequential` only those of the row: they weigh what the columns have seen.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        row, column = pixel_place(x, at)
        height, width = (torch.arange(side, device=x.device) for side in x.shape[2:])
        seen = self._down(x) if self.sequential else x
        # By select rather than by brackets, which fix a free place to the sample's.
        in_row = self.rows.weights(seen.select(2, row), column)[:, :, None]
        in_row = in_row * (height == row)[:, None]
        if self.sequential:
            return Maps(spatial=in_row)
        in_column = self.columns.weights(x.select(3, column), row)[..., None] * (width == column)
        return Maps(spatial=torch.cat([in_column, in_row], dim=1))

    def _down(self, x: Tensor) -> Tensor:
        return self.columns.lean(x.permute(0, 3, 2, 1), self.max_memory).permute(0, 3, 2, 1)


class _LineAttention(nn.Module):
    """Attention of several heads inside of each line of pixels."""

    def __init__(self, channels: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, width**-0.5
        self.query = nn.Linear(channels, heads * width, bias=False)
        self.keys_values = nn.Linear(channels, 2 * heads * width, bias=False)
        self.project = nn.Linear(heads * width, channels)

    def forward(self, lines: Float[Tensor, "b l t c"]) -> Float[Tensor, "b l t c"]:
        """What each of t pixels sees in its line, by the equations."""
        query = torch.unflatten(self.query(lines), 3, (self.heads, -1))
        key, value = torch.unflatten(self.keys_values(lines), 3, (2, self.heads, -1)).unbind(3)
        scores = torch.einsum("blimd,bljmd->blmij", query, key) * self.scale
        weights = scores.softmax(dim=4)  # over the line
        seen = torch.einsum("blmij,bljmd->blimd", weights, value)
        return self.project(seen.flatten(3))

    def lean(
        self, lines: Float[Tensor, "b l t c"], max_memory: int | None
    ) -> Float[Tensor, "b l t c"]:
        """The same; each line and head is an image of its own to `attention`."""
        weight = torch.cat([self.query.weight * self.scale, self.keys_values.weight])
        parts = torch.unflatten(F.linear(lines, weight), 3, (3, self.heads, -1))
        parts = parts.permute(3, 0, 1, 4, 5, 2)  # (3, b, l, m, d, t)
        query, key, value = (part.flatten(0, 2) for part in parts)
        seen = attention(query, key, value, max_memory)
        seen = seen.reshape(parts.shape[1:]).permute(0, 1, 4, 2, 3).flatten(3)
        return self.project(seen)

    def weights(self, line: Float[Tensor, "b c t"], place: int) -> Float[Tensor, "b m t"]:
        """Weights of one line for its pixel `place`."""
        tokens = line.mT.to(self.query.weight.dtype)
        query = torch.unflatten(self.query(tokens.select(1, place)), 1, (self.heads, -1))
        key, _ = torch.unflatten(self.keys_values(tokens), 2, (2, self.heads, -1)).unbind(2)
        with full_precision(line):
            kind = statistics_dtype(line)
            scores = torch.einsum("bmd,btmd->bmt", query.to(kind) * self.scale, key.to(kind))
            return scores.softmax(dim=2)
