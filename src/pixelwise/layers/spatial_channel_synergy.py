"""Spatial and channel synergistic attention: strips of several kernels, then channels that attend.

For a map x of h rows and w columns, whose channels are four quarters with kernels K of 3, 5, 7 and
9 taps,

    r_ci = mean_j x_cij,   t_cj = mean_i x_cij          what is in row i, and in column j
    a = gate(norm(K * r + d)),  e = gate(norm(K * t + d))     the same K and d, norms of their own
    z_cij = x_cij a_ci e_cj                             which rows and columns matter
    p = norm(pool(z))                                   windows that do not overlap
    q = wq p + bq,   k = wk p + bk,   v = wv p + bv     numbers of each channel by itself
    A_cd = softmax_d(q_c . k_d / sqrt(m))               over the m channels of a head
    g_c = gate(mean_n sum_d A_cd v_dn)                  which channels matter
    y_cij = z_cij g_c

Norms are over all places of an image, of a quarter of the channels (a and e) or of all (p). With
gate="softmax" the gates are softmaxes: a over rows, e over columns and g over channels.

Source: Si et al., "SCSA: Exploring the Synergistic Effects Between Spatial and Channel Attention",
Neurocomputing 634, 2025, https://arxiv.org/abs/2407.05128.
Reference: github.com/HZAI-ZJNU/SCSA, mmpretrain/models/attentions/SCSA.py (Apache-2.0), class SCSA,
written from its equations. As there, rows and columns that fill no window count for a and e alone.
Differences: the mean over n is taken of v, so that A v is never formed; window_size=None is the
authors' -1; "recombination", which fails there, is left out.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, in_range, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Limits, Maps
from pixelwise.layers.shared.parts import GroupNorm
from pixelwise.ops.axis_gate import axis_gate
from pixelwise.ops.axis_means import axis_means
from pixelwise.ops.factor_gate import factor_gate
from pixelwise.ops.running.precision import full_precision, statistics_dtype

QUARTERS = 4
NAMES = ("local_dwc", "global_dwc_s", "global_dwc_m", "global_dwc_l")


class SpatialChannelSynergy(AttentionLayer):
    """Gate rows and columns by strips, then channels by attention between channels.

    Args:
        channels: Channels c of the input and of the output; a multiple of 4 and of `heads`.
        heads: Of the attention between channels; m = c / heads channels see each other.
        window_size: Side of the windows; None takes the mean of the whole map.
        kernel_sizes: Taps along rows and columns, of each quarter of the channels; odd.
        pool: What is taken of a window: "avg" or "max".
        gate: "sigmoid" or "softmax".
        bias: Whether query, key and value have biases.
        dropout: Share of the weights A that is dropped in training.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for h and w from `window_size` up.

    Cost:
        About 8 operations per value; c^2 / heads multiply-adds per window.

    Raises:
        InputError: An option is out of range, or the map is smaller than a window.
    """

    key: ClassVar[str] = "scsa"
    title: ClassVar[str] = "Spatial and channel synergistic attention"
    year: ClassVar[int] = 2024
    aliases: ClassVar[tuple[str, ...]] = ("SCSAttention",)
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        **{name: f"mix.{i}" for i, name in enumerate(NAMES)},
        "norm": "norm",
        "norm_h": "norm_rows",
        "norm_w": "norm_columns",
        "q": "query_scale",
        "k": "key_scale",
        "v": "value_scale",
    }

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        window_size: int | None = 7,
        kernel_sizes: tuple[int, ...] = (3, 5, 7, 9),
        pool: str = "avg",
        gate: str = "sigmoid",
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads, window_size=1 if window_size is None else window_size)
        one_of(("avg", "max"), pool=pool)
        one_of(("sigmoid", "softmax"), gate=gate)
        in_range(0.0, 1.0, dropout=dropout)
        if channels % QUARTERS:
            raise InputError(f"channels={channels}: must be a multiple of 4; take such a number")
        if channels % heads:
            raise InputError(f"heads={heads}: must divide channels={channels}; take fewer")
        if len(kernel_sizes) != QUARTERS or any(size < 1 or size % 2 == 0 for size in kernel_sizes):
            raise InputError(
                f"kernel_sizes={tuple(kernel_sizes)}: must be four odd numbers; e.g. (3, 5, 7, 9)"
            )
        self.heads, self.window_size, self.pool, self.gate = heads, window_size, pool, gate
        self.limits = Limits(least=window_size or 1)
        quarter = channels // QUARTERS
        self.mix = nn.ModuleList(
            nn.Conv1d(quarter, quarter, size, padding=size // 2, groups=quarter)
            for size in kernel_sizes
        )
        self.norm_rows = GroupNorm(QUARTERS, channels)
        self.norm_columns = GroupNorm(QUARTERS, channels)
        self.norm = GroupNorm(1, channels)
        self.query_scale, self.key_scale, self.value_scale = (
            nn.Conv2d(channels, channels, 1, groups=channels, bias=bias) for _ in range(3)
        )
        self.dropout = nn.Dropout(dropout)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate rows and columns, then the channels of what that leaves."""
        rows, columns = self._axis_gates(x.mean(dim=3), x.mean(dim=2))
        z = x * rows[:, :, :, None] * columns[:, :, None, :]
        p = self._windows(z)
        weights = self.dropout(self._weights(p))  # (b, heads, m, m)
        value = self.value_scale(p).reshape(*weights.shape[:3], -1).to(weights.dtype)
        seen = torch.einsum("bhcd,bhdn->bhcn", weights, value).mean(dim=3)
        return z * self._as_gate(seen.flatten(1), dim=1)[:, :, None, None]

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The mean of what channels see is what they see of the mean."""
        onward, *means = axis_means(x)
        z = axis_gate(onward, *self._axis_gates(*means))
        gate = self._gate_of(z, self.dropout)
        return factor_gate(z.flatten(2), gate[:, :, None]).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels (a head is a channel) and of the channels, the same for every `at`.

        Nothing is dropped from them.
        """
        rows, columns = self._axis_gates(x.mean(dim=3), x.mean(dim=2))
        spatial = rows[:, :, :, None] * columns[:, :, None, :]
        return Maps(spatial=spatial, channel=self._gate_of(x * spatial))

    def _axis_gates(
        self, rows: Float[Tensor, "b c h"], columns: Float[Tensor, "b c w"]
    ) -> tuple[Float[Tensor, "b c h"], Float[Tensor, "b c w"]]:
        gates = []
        for means, norm in ((rows, self.norm_rows), (columns, self.norm_columns)):
            quarters = zip(self.mix, means.chunk(QUARTERS, dim=1), strict=True)
            mixed = norm(torch.cat([mix(part) for mix, part in quarters], dim=1))
            gates.append(self._as_gate(mixed, dim=2).to(means.dtype))
        return gates[0], gates[1]

    def _as_gate(self, z: Tensor, dim: int) -> Tensor:
        wide = z.to(statistics_dtype(z))
        return wide.sigmoid() if self.gate == "sigmoid" else wide.softmax(dim=dim)

    def _gate_of(
        self, z: Float[Tensor, "b c h w"], dropout: nn.Module | None = None
    ) -> Float[Tensor, "b c"]:
        """Gates of the channels, from the mean of v."""
        with full_precision(z):
            p = self._windows(z)
            weights = self._weights(p)
            weights = weights if dropout is None else dropout(weights)
            value = self.value_scale(p).mean(dim=(2, 3), dtype=weights.dtype)
            seen = torch.einsum("bhcd,bhd->bhc", weights, value.view(weights.shape[:3]))
            return self._as_gate(seen.flatten(1), dim=1)

    def _windows(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """What is in each window, normalised, in the type of the weights."""
        if self.window_size is None:
            pooled = z.mean(dim=(2, 3), keepdim=True)
        else:
            pool = F.avg_pool2d if self.pool == "avg" else F.max_pool2d
            pooled = pool(z, self.window_size, self.window_size)
        return self.norm(pooled.to(next(self.parameters()).dtype))

    def _weights(self, p: Float[Tensor, "b c i j"]) -> Float[Tensor, "b heads m m"]:
        """Weights with which channels see those of their head, in the type of statistics."""
        kind, m = statistics_dtype(p), self.channels // self.heads
        query, key = (
            part(p).reshape(p.shape[0], self.heads, m, -1).to(kind)
            for part in (self.query_scale, self.key_scale)
        )
        score = torch.einsum("bhcn,bhdn->bhcd", query, key) / math.sqrt(m)
        return score.to(kind).softmax(dim=3)
