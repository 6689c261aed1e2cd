"""Multi-scale dilated attention: heads look at neighbours, each group of heads at its own distance.

For pixels x_j in R^c, heads m of width d with a dilation r_m, and offsets t of a k x k window,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    A_it = softmax_t(q_i . k_(i + r t) / sqrt(d))       where pixel i looks, head by head
    y_i = Wo sum_t A_it v_(i + r t) + bo                what it sees, all heads

Keys and values beyond the border are zero: they are not masked, so their score is 0, they take a
share of the softmax, and what is seen near the border is the less.

Source: Jiao et al., "DilateFormer: Multi-Scale Dilated Transformer for Visual Recognition", IEEE
Transactions on Multimedia 2023, https://arxiv.org/abs/2302.01791.
Reference: github.com/JIAOJIAYUASD/dilateformer, models/dilateformer.py (no licence; written from
the equations), MultiDilatelocalAttention. Differences: channels come first; the input is left as it
is, where the authors' code overwrites it and then has no gradient; no dropout; four dilations by
default, since the authors' 1, 2, 3 do not divide their own eight heads.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import above_zero, at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, pixel_place
from pixelwise.layers.shared.pointwise import formatted, product
from pixelwise.layers.shared.shared_projections import head_width
from pixelwise.ops.deformable import read_at
from pixelwise.ops.neighbour_attention import neighbour_attention, neighbours
from pixelwise.ops.neighbour_windows import Window
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class MultiScaleDilatedAttention(AttentionLayer):
    """Let every pixel see neighbours at several distances.

    Args:
        channels: Channels c of the input and of the output.
        heads: Heads of the attention; they divide the channels.
        kernel_size: Rows and columns of the window, odd.
        dilations: Pixels from one neighbour to the next, for each group of heads in order; as
            many as divide the heads.
        bias: Whether queries, keys and values have a bias.
        scale: What q . k is multiplied with, above 0; by default 1 / sqrt(c / heads).

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        4 c^2 + 2 k^2 c multiply-adds per pixel; attention is computed in tiles, which costs up to
        four times its share here, and keeps neither windows nor weights.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "msda"
    title: ClassVar[str] = "Multi-scale dilated attention (DilateFormer)"
    year: ClassVar[int] = 2023
    aliases: ClassVar[tuple[str, ...]] = (
        "DilateFormer",
        "dilated attention",
        "multi-scale dilated attention",
        "MultiDilatelocalAttention",
        "DilateAttention",
    )
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {"qkv": "project", "proj": "expand"}

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        kernel_size: int = 3,
        dilations: Sequence[int] = (1, 2, 3, 4),
        bias: bool = False,
        scale: float | None = None,
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise InputError(
                f"kernel_size={kernel_size}: must be odd, so that a window has a middle; "
                f"use {kernel_size + 1}"
            )
        self.dilations = tuple(dilations)
        if not self.dilations or heads % len(self.dilations):
            raise InputError(
                f"dilations={self.dilations}: as many as divide heads={heads} must be given; "
                "give more or fewer, or change heads"
            )
        at_least(1, dilations=min(self.dilations))
        self.heads, self.kernel_size = heads, kernel_size
        above_zero(scale=scale)
        self.scale = head_width(channels, heads) ** -0.5 if scale is None else scale
        self.project = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.expand = nn.Linear(channels, channels)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh the neighbours of every pixel, group of heads by group."""
        groups = self._groups(self.project(x))
        seen = [self._weighed(query, key, value, pad) for query, key, value, pad in groups]
        return self.expand(torch.cat(seen, dim=3)).permute(0, 3, 1, 2)

    def _weighed(self, query: Tensor, key: Tensor, value: Tensor, pad: int) -> Tensor:
        """Every pixel weighs its neighbours at one distance; zeros lie beyond the border."""
        windows = self._window(query, 3, pad), self._window(query, 4, pad)
        keys, values = (
            neighbours(F.pad(z, (pad, pad, pad, pad)), *windows) for z in (key, value)
        )  # (b, m, d, k, h, k, w)
        score = torch.einsum("bmdij,bmdkilj->bmijkl", query, keys) * self.scale
        weights = score.flatten(4).softmax(dim=4).view(score.shape)
        return torch.einsum("bmijkl,bmdkilj->bijmd", weights, values).flatten(3)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Tiles of neighbours share their keys; no window is copied."""
        weight = self.project.weight.flatten(1)
        mixed = F.linear(x.permute(0, 2, 3, 1), weight, self.project.bias).permute(0, 3, 1, 2)
        seen = []
        for query, key, value, pad in self._groups(mixed):
            windows = self._window(x, 2, pad), self._window(x, 3, pad)
            key, value = _padded(key, pad), _padded(value, pad)
            group = neighbour_attention(query * self.scale, key, value, *windows)
            seen.append(group.permute(0, 3, 4, 1, 2).flatten(3))
        y = self.expand(torch.cat(seen, dim=3))
        return formatted(y.permute(0, 3, 1, 2), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees the map; only its windows are computed.

        They add up to less than 1 where a window reaches beyond the border.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        row, column = pixel_place(x, at)
        with full_precision(x):
            kind, weight = statistics_dtype(x), self.project.weight.flatten(1)
            found = []
            for number, dilation in enumerate(self.dilations):
                step = torch.arange(self.kernel_size, device=x.device) - self.kernel_size // 2
                rows, columns = row + step * dilation, column + step * dilation
                around = read_at(x, rows, columns).flatten(2).to(weight.dtype)
                projected = product(weight, self.project.bias, around)
                inside = ((rows >= 0) & (rows < x.shape[2]))[:, None]
                inside = (inside & (columns >= 0) & (columns < x.shape[3])).flatten().to(kind)
                query, key = torch.unflatten(
                    projected, 1, (3, len(self.dilations), -1, self.channels // self.heads)
                )[:, :2, number].to(kind).unbind(1)  # fmt: skip
                middle = query[..., self.kernel_size**2 // 2] * self.scale
                score = torch.einsum("bmd,bmdk->bmk", middle, key * inside)
                weights = score.softmax(dim=2) * inside
                rows, columns = rows.clamp(0, x.shape[2] - 1), columns.clamp(0, x.shape[3] - 1)
                places = (rows[:, None] * x.shape[3] + columns).flatten()
                spread = weights.new_zeros(*weights.shape[:2], x.shape[2] * x.shape[3])
                found.append(spread.index_add(2, places, weights))
            return Maps(spatial=torch.unflatten(torch.cat(found, dim=1), 2, x.shape[2:]))

    def _groups(self, mixed: Tensor) -> list[tuple[Tensor, Tensor, Tensor, int]]:
        """Queries, keys and values (b, m, d, h, w) of each group of heads; how far it looks."""
        parts = torch.unflatten(
            mixed, 1, (3, len(self.dilations), -1, self.channels // self.heads)
        ).permute(2, 1, 0, 3, 4, 5, 6)
        reach = [self.kernel_size // 2 * dilation for dilation in self.dilations]
        return [(z[0], z[1], z[2], pad) for z, pad in zip(parts.unbind(), reach, strict=True)]

    def _window(self, x: Tensor, axis: int, pad: int) -> Window:
        """On a map with `pad` zeros around it, of which the first is place 0."""
        place = torch.arange(x.shape[axis], device=x.device)
        last = torch.zeros_like(place) + (x.shape[axis] + 2 * pad - 1)
        dilation = max(1, 2 * pad // max(1, self.kernel_size - 1))
        return Window(place, last, self.kernel_size, dilation)


def _padded(z: Float[Tensor, "b m d h w"], pad: int) -> Float[Tensor, "b m d i j"]:
    """Zeros around it; channels last in memory, as they come."""
    last = z.permute(0, 1, 3, 4, 2)
    return F.pad(last, (0, 0, pad, pad, pad, pad)).permute(0, 1, 4, 2, 3)
