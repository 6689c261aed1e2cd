"""Bi-level routing attention: regions choose regions, and pixels attend to the pixels of those.

The map is cut into n x n regions. For pixels x_j in R^c, heads of width d, and a region r(i) of i,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    S_rs = a_r . b_s                                  likeness of regions r, s: means of q and k
    A_ij = softmax_{j in T(i)}(q_i . k_j / sqrt(c))   T(i): pixels of the t regions best for r(i)
    y_i = Wo (sum_j A_ij v_j + (Wl * v)_i) + bo       beside a depthwise convolution

All heads share the choice, which has no gradient. The scale has the width c of all heads together.
Regions have h // n rows; what is left over are more regions, the last of which are padded with
zeros. These are not masked: their score is 0 and they take a share of the softmax; the means leave
them out.

Source: Zhu et al., "BiFormer: Vision Transformer with Bi-Level Routing Attention", CVPR 2023,
https://arxiv.org/abs/2303.08810.
Reference: github.com/rayleizhu/BiFormer, ops/bra_nchw.py (MIT), nchwBRA. Differences: a map with
fewer rows or columns than regions, which the authors refuse, has regions of one row or column;
where more regions are to be chosen than there are, all are.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pixelwise.checks import above_zero, at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, pixel_place
from pixelwise.layers.shared.pointwise import formatted, product
from pixelwise.layers.shared.shared_projections import head_width
from pixelwise.ops.attention import attention
from pixelwise.ops.region_routing import Regions
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class BiLevelRoutingAttention(AttentionLayer):
    """Let pixels see the regions that are most like their own.

    Args:
        channels: Channels c of the input and of the output.
        heads: Heads of the attention; they divide the channels.
        regions: Regions n along each axis.
        chosen: Regions t that a region's pixels see.
        local_kernel: Rows and columns of the convolution of the values, odd; 0 is none.
        scale: What q . k is multiplied with, above 0; by default 1 / sqrt(c).

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        4 c^2 + 2 t (h w / n^2) c multiply-adds per pixel; the keys and values that a region sees
        are copied, 2 t c numbers per pixel, and weights are not kept.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "biformer"
    title: ClassVar[str] = "Bi-level routing attention (BiFormer)"
    year: ClassVar[int] = 2023
    aliases: ClassVar[tuple[str, ...]] = (
        "BRA",
        "bi-level routing attention",
        "BiLevelRoutingAttention_nchw",
        "nchwBRA",
    )
    cost_exponent: float = 2.0
    max_memory: int | None = None
    """Bytes for the weights of pairs that exist at a time; `limit_memory` sets it."""
    reference_keys: ClassVar[Mapping[str, str]] = {
        "qkv_linear": "project",
        "output_linear": "expand",
        "lepe": "local",
    }

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        regions: int = 7,
        chosen: int = 4,
        local_kernel: int = 3,
        scale: float | None = None,
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads, regions=regions, chosen=chosen)
        at_least(0, local_kernel=local_kernel)
        above_zero(scale=scale)
        if chosen > regions**2:
            raise InputError(
                f"chosen={chosen}: there are {regions**2} regions to choose from; lower chosen"
            )
        if local_kernel and local_kernel % 2 == 0:
            raise InputError(
                f"local_kernel={local_kernel}: must be odd, or 0 for none; use {local_kernel + 1}"
            )
        head_width(channels, heads)
        self.heads, self.regions, self.chosen = heads, regions, chosen
        self.scale = channels**-0.5 if scale is None else scale
        self.project = nn.Conv2d(channels, 3 * channels, 1)
        self.local = (
            nn.Conv2d(channels, channels, local_kernel, padding="same", groups=channels)
            if local_kernel
            else None
        )
        self.expand = nn.Conv2d(channels, channels, 1)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Choose regions, weigh their pixels, and add what is near."""
        query, key, value = self.project(x).chunk(3, dim=1)
        grid = Regions.of(x, self.regions)
        chosen = self._choice(query, key, grid)  # (b, n, t)
        queries = grid.split(query, self.heads)  # (b, n, m, p, d): p pixels in each of n regions
        keys, values = (grid.chosen(grid.split(z, self.heads), chosen) for z in (key, value))
        score = torch.einsum("bnmpd,bnmqd->bnmpq", queries, keys) * self.scale
        seen = torch.einsum("bnmpq,bnmqd->bnmpd", score.softmax(dim=4), values)
        y = grid.join(seen, x)
        return self.expand(y if self.local is None else y + self.local(value))

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Fused attention of each region, which keeps no weights of pairs."""
        weight = self.project.weight.flatten(1)
        mixed = product(weight, self.project.bias, x.flatten(2))
        query, key, value = torch.unflatten(mixed, 2, x.shape[2:]).chunk(3, dim=1)
        grid = Regions.of(x, self.regions)
        chosen = self._choice(query, key, grid)
        queries = grid.split(query * self.scale, self.heads)
        keys, values = (grid.chosen(grid.split(z, self.heads), chosen) for z in (key, value))
        queries, keys, values = (z.flatten(0, 2).mT for z in (queries, keys, values))
        found = attention(queries, keys, values, self.max_memory).mT
        y = grid.join(found.reshape(x.shape[0], -1, self.heads, *found.shape[1:]), x)
        if self.local is not None:
            y = y + self.local(value)
        y = product(self.expand.weight.flatten(1), self.expand.bias, y.flatten(2).to(mixed.dtype))
        return formatted(torch.unflatten(y, 2, x.shape[2:]), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees the map; only its regions are computed.

        They add up to less than 1 where these are padded.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        row, column = pixel_place(x, at)
        grid = Regions.of(x, self.regions)
        with full_precision(x):
            kind, weight = statistics_dtype(x), self.project.weight.flatten(1)
            mixed = product(weight, self.project.bias, x.to(weight.dtype).flatten(2))
            query, key, _ = torch.unflatten(mixed, 2, x.shape[2:]).chunk(3, dim=1)
            own = grid.at(row, column)
            chosen = self._choice(query, key, grid)[:, own : own + 1]
            pixels, inside = grid.pixels(x)
            pixels, inside = pixels[chosen].flatten(1), inside[chosen].flatten(1)  # (b, q)
            keys = key.flatten(2).mT.to(kind)
            keys = keys.gather(1, pixels[..., None].expand(-1, -1, keys.shape[2]))
            keys = torch.unflatten(keys * inside[..., None], 2, (self.heads, -1))
            mine = torch.unflatten(query[:, :, row, column].to(kind), 1, (self.heads, -1))
            score = torch.einsum("bmd,bqmd->bmq", mine * self.scale, keys)
            weights = score.softmax(dim=2) * inside[:, None]
            spread = weights.new_zeros(*weights.shape[:2], x.shape[2] * x.shape[3])
            spread = spread.scatter_add(2, pixels[:, None].expand_as(weights), weights)
            return Maps(spatial=torch.unflatten(spread, 2, x.shape[2:]))

    @torch.no_grad()
    def _choice(self, query: Tensor, key: Tensor, grid: Any) -> Int[Tensor, "b n t"]:
        """The regions that each one sees."""
        with full_precision(query):
            likeness = torch.matmul(grid.means(query), grid.means(key).mT)
            return likeness.topk(torch.sym_min(self.chosen, likeness.shape[2]), dim=2).indices
