"""Criss-cross attention: every pixel gathers from its row and its column.

For pixels x_p in R^c of one image, and the cross C_p of pixels in the row or the column of p, p
itself once,

    q_p, k_u, v_u = Wq x_p + bq, Wk x_u + bk, Wv x_u + bv
    A_pu = softmax_{u in C_p}(q_p . k_u)     where pixel p looks    (not scaled by 1 / sqrt(d))
    y_p = x_p + gamma sum_u A_pu v_u         what it sees, added

and the same step again on y, with the same weights: after two of them every pixel has heard of
every other one, which is in the row of some pixel of its column.

Source: Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation", ICCV 2019,
https://arxiv.org/abs/1811.11721.
Reference: github.com/speedinghzl/CCNet, cc_attention/functions.py (MIT), CrissCrossAttention, and
mmcv's mmcv/ops/cc_attention.py (Apache-2.0). Differences: those are one step, which the network
around them repeats; here `recurrence` does, twice by default, as the paper does. Rows and columns
are views of one map, and only a run of rows has its weights in memory at a time.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.base import AttentionLayer, Maps, pixel_place, reduced
from pixelwise.ops.axis_attention import criss_cross
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class CrissCrossAttention(AttentionLayer):
    """Add to every pixel a mixture of its row and column, by likeness, a few times over.

    Args:
        channels: Channels c of the input and of the output.
        reduction: The key width d is `channels // reduction`.
        hidden: Key width itself, in place of `reduction`.
        recurrence: How many times, with the same weights; 1 is the authors' module.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        h w (h + w) (c + d) multiply-adds each time; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The identity at initialisation, since gamma starts at zero. The gradient of bk is zero: a
    softmax ignores shifts.
    """

    key: ClassVar[str] = "crisscross"
    title: ClassVar[str] = "Criss-cross attention"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "CC",
        "CC_module",
        "CCNet",
        "CCAttention",
        "RCCA",
        "RCCAModule",
        "recurrent criss-cross attention",
    )
    cost_exponent: float = 1.5
    benchmark_cases: ClassVar[tuple[str, ...]] = ("recurrence=1",)
    max_memory: int | None = None
    """Bytes for the weights of pairs that exist at a time; `limit_memory` sets it."""
    reference_keys: ClassVar[Mapping[str, str]] = {
        "query_conv": "query",
        "key_conv": "keys",
        "value_conv": "value",
        "gamma": "gain",
        "gamma.scale": "gain",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 8,
        hidden: int | None = None,
        recurrence: int = 2,
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        at_least(1, recurrence=recurrence)
        self.recurrence = recurrence
        self.query = nn.Linear(channels, width)
        self.keys = nn.Linear(channels, width)
        self.value = nn.Linear(channels, channels)
        self.gain = nn.Parameter(torch.zeros(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: torch's own projections, and a gain of zero."""
        for projection in (self.query, self.keys, self.value):
            projection.reset_parameters()
        nn.init.zeros_(self.gain)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what every pixel sees, times gamma; and again."""
        height, width = x.shape[2:]
        itself = torch.eye(height, dtype=torch.bool, device=x.device)[:, None]  # (h, 1, u)
        for _ in range(self.recurrence):
            pixels = x.permute(0, 2, 3, 1)  # (b, h, w, c)
            query, key, value = self.query(pixels), self.keys(pixels), self.value(pixels)
            in_column = torch.einsum("bhwd,buwd->bhwu", query, key)
            in_column = in_column.masked_fill(itself, float("-inf"))  # it counts in its row
            in_row = torch.einsum("bhwd,bhvd->bhwv", query, key)
            weights = torch.cat([in_column, in_row], dim=3).softmax(dim=3)  # over the cross
            column, row = torch.split(weights, [height, width], dim=3)
            seen = torch.einsum("bhwu,buwc->bchw", column, value)
            seen = seen + torch.einsum("bhwv,bhvc->bchw", row, value)
            x = x + self.gain * seen
        return x

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One product for all three projections; the weights exist for a run of rows at a time."""
        for _ in range(self.recurrence):
            x = self._step(x)
        return x

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees its row and column, in the last step.

        They weigh the values of that step's input, which the steps before have made of x.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        row, column = pixel_place(x, at)
        for _ in range(self.recurrence - 1):
            x = self._step(x)
        query, key, _ = self._parts(x)
        with full_precision(x):
            kind = statistics_dtype(x)
            height, width = x.shape[2:]
            # By select rather than by brackets, which fix a free place to the sample's.
            query = query.select(1, row).select(1, column)[:, :, None].to(kind)
            in_column = torch.matmul(key.select(2, column).to(kind), query)[..., 0]
            down = (torch.arange(height, device=x.device) == row)[:, None]
            across = torch.arange(width, device=x.device) == column
            in_column = in_column.masked_fill(down[:, 0], float("-inf"))
            in_row = torch.matmul(key.select(1, row).to(kind), query)[..., 0]
            weights = torch.cat([in_column, in_row], dim=1).softmax(dim=1)
            spatial = weights[:, :height, None] * across + weights[:, None, height:] * down
            return Maps(spatial=spatial[:, None])

    def _step(self, x: Tensor) -> Tensor:
        query, key, value = self._parts(x)
        with full_precision(x):
            seen = criss_cross(query, key, value, self.max_memory).permute(0, 3, 1, 2)
            return torch.addcmul(x, self.gain.to(x.dtype), seen.to(x.dtype))

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, channels last."""
        parts = (self.query, self.keys, self.value)
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
        projected = torch.baddbmm(bias, x.flatten(2).mT, weight.T.expand(x.shape[0], -1, -1))
        projected = projected.view(x.shape[0], *x.shape[2:], -1)
        return torch.split(projected, [part.out_features for part in parts], dim=3)
