"""Neighbourhood attention: every pixel attends to a window around itself that stays in the map.

For pixels x_j in R^c, heads of width d, and the window W(i) of pixel i,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    A_ij = softmax_{j in W(i)}(q_i . k_j / sqrt(d))     where pixel i looks
    y_i = Wo sum_j A_ij v_j + bo                        what it sees, all heads

The window has k x k pixels, every r-th one for a dilation r. At a border it moves inwards and keeps
its size, so pixel i is then not its centre. With a stride s, s neighbours share the window of their
middle one. A causal axis has the k pixels up to pixel i (with a stride: up to the last that shares
the window, of which those behind i are not seen).

Source: Hassani et al., "Neighborhood Attention Transformer", CVPR 2023,
https://arxiv.org/abs/2204.07143; Hassani and Shi, "Dilated Neighborhood Attention Transformer",
2022, https://arxiv.org/abs/2209.15001.
Reference: github.com/SHI-Labs/NATTEN, src/natten/modules.py (MIT), NeighborhoodAttention2D.
Differences: channels come first; where a window does not fit the map, which NATTEN refuses, a pixel
sees all there are; no dropout; and no relative positions, which releases before 0.20 had.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import above_zero, at_least, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, pixel_place
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.layers.shared.shared_projections import head_width
from pixelwise.ops.neighbour_attention import in_window, neighbour_attention, neighbours
from pixelwise.ops.neighbour_windows import Window, neighbourhood
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class NeighbourhoodAttention(AttentionLayer):
    """Let every pixel see those around it.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Rows and columns of the window, one number for both or a pair.
        heads: Heads of the attention; they divide the channels.
        dilation: Pixels from one of a window to the next.
        stride: Rows and columns of pixels that share a window, at most a window's.
        causal: Whether a pixel sees only rows, and columns, up to its own.
        bias: Whether queries, keys and values have a bias.
        scale: What q . k is multiplied with, above 0; by default 1 / sqrt(c / heads).

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w. Where the pixels that a dilation leaves are
        fewer than the kernel's, the window is all of them.

    Cost:
        4 c^2 + 2 k^2 c multiply-adds per pixel; attention is computed in tiles, which costs up to
        four times its share here, and keeps neither windows nor weights.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "natten"
    title: ClassVar[str] = "Neighbourhood attention"
    year: ClassVar[int] = 2023
    aliases: ClassVar[tuple[str, ...]] = (
        "NA",
        "NAT",
        "DiNAT",
        "NeighborhoodAttention2D",
        "neighborhood attention",
        "dilated neighborhood attention",
    )
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {"qkv": "project", "proj": "expand"}

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int | tuple[int, int] = 7,
        heads: int = 4,
        dilation: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        causal: bool | tuple[bool, bool] = False,
        bias: bool = True,
        scale: float | None = None,
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads)
        self.kernel_size = pair(1, kernel_size=kernel_size)
        self.dilation, self.stride = pair(1, dilation=dilation), pair(1, stride=stride)
        if any(s > k for s, k in zip(self.stride, self.kernel_size, strict=True)):
            raise InputError(
                f"stride={stride}: must be at most kernel_size={kernel_size}, or pixels would not "
                "see themselves; lower stride"
            )
        self.causal = (causal, causal) if isinstance(causal, bool) else tuple(causal)
        self.heads = heads
        above_zero(scale=scale)
        self.scale = head_width(channels, heads) ** -0.5 if scale is None else scale
        self.project = nn.Linear(channels, 3 * channels, bias=bias)
        self.expand = nn.Linear(channels, channels)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh what stands in the window of every pixel."""
        query, key, value = self._parts(x)  # (b, m, d, h, w)
        rows, columns = self._windows(x)
        keys, values = (neighbours(z, rows, columns) for z in (key, value))  # (b, m, d, k, h, l, w)
        score = torch.einsum("bmdij,bmdkilj->bmijkl", query, keys) * self.scale
        seen = in_window(rows, columns).permute(2, 3, 0, 1)  # smaller maps have fewer places
        score = score.masked_fill(~seen, float("-inf"))
        weights = score.flatten(4).softmax(dim=4).view(score.shape)
        y = torch.einsum("bmijkl,bmdkilj->bijmd", weights, values).flatten(3)
        return self.expand(y).permute(0, 3, 1, 2)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Tiles of neighbours share their keys; no window is copied."""
        query, key, value = self._parts(x)
        seen = neighbour_attention(query * self.scale, key, value, *self._windows(x))
        y = self.expand(seen.permute(0, 3, 4, 1, 2).flatten(3))
        return formatted(y.permute(0, 3, 1, 2), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees the map; only its window is computed.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        place = pixel_place(x, at)
        with full_precision(x):
            kind, own = statistics_dtype(x), self.project.weight.dtype
            (rows, above), (columns, beside) = (
                window.at(i) for window, i in zip(self._windows(x), place, strict=True)
            )
            rows, columns = rows.clamp(0, x.shape[2] - 1), columns.clamp(0, x.shape[3] - 1)
            around = x.index_select(2, rows).index_select(3, columns)
            query = self._parts(x[:, :, place[0], place[1], None, None].to(own))[0][..., 0, 0]
            key = self._parts(around.to(own))[1]
            score = torch.einsum("bmd,bmdkl->bmkl", query.to(kind), key.to(kind)) * self.scale
            score = score.masked_fill(~(above[:, None] & beside), float("-inf")).flatten(2)
            places = (rows[:, None] * x.shape[3] + columns).flatten()
            spread = score.new_zeros(*score.shape[:2], x.shape[2] * x.shape[3])
            spread = spread.index_add(2, places, score.softmax(dim=2))
            return Maps(spatial=torch.unflatten(spread, 2, x.shape[2:]))

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values by head, their channels last in memory."""
        projected = self.project(x.permute(0, 2, 3, 1))
        return torch.unflatten(projected, 3, (3, self.heads, -1)).permute(3, 0, 4, 5, 1, 2).unbind()

    def _windows(self, x: Tensor) -> tuple[Window, Window]:
        rows, columns = (
            neighbourhood(
                x.shape[2 + i], k, self.dilation[i], self.stride[i], self.causal[i], x.device
            )
            for i, k in enumerate(self.kernel_size)
        )
        return rows, columns
