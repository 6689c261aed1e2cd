"""Tiles of T x T neighbouring queries that share one halo of ((T - 1) s + k)^2 keys.

They are two matrix products per tile, in which each query's keys outside of its window are masked.
Tiles are computed some rows at a time; backward computes their weights again from q and k.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.ops.local_attention.plain import again
from pixelwise.ops.local_attention.tiling import Tiling, mirrored, tile_weights
from pixelwise.ops.running import blocks
from pixelwise.ops.running.backward import Gradients, twice_differentiable
from pixelwise.ops.running.precision import statistics_dtype


class TiledAttention(torch.autograd.Function):
    """The attention of query, key and value, some rows of tiles at a time."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, tiling: Tiling) -> Tensor:
        """Some rows of tiles at a time."""
        ctx.save_for_backward(query, key, value)
        ctx.tiling = tiling
        q, k, v = query.to(statistics_dtype(value)), key, value
        mask = tiling.mask(q)
        out = value.new_empty(*query.shape[:2], value.shape[2], *query.shape[3:])
        for i, rows in _runs(query, value, tiling):
            keys, values = (_Halo(z[i], rows, query, tiling).tiles(q.dtype) for z in (k, v))
            weights = tile_weights(_tiles(q[i], rows, tiling), keys, mask)
            _untile(torch.bmm(values, weights.mT), rows, tiling, out[i])
        return out

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """The same, with the weights computed again."""
        query, key, value = ctx.saved_tensors
        tiling, kind = ctx.tiling, statistics_dtype(value)
        scale = query.shape[2] ** -0.5
        q, g = query.to(kind), grad.to(kind)
        mask = tiling.mask(q)
        d_q, d_k, d_v = (torch.zeros_like(z, dtype=kind) for z in (query, key, value))
        for i, rows in _runs(query, value, tiling):
            key_halo, value_halo = (_Halo(z[i], rows, query, tiling) for z in (key, value))
            keys, queries = key_halo.tiles(kind), _tiles(q[i], rows, tiling)
            weights, d_out = tile_weights(queries, keys, mask), _tiles(g[i], rows, tiling)
            value_halo.add(torch.bmm(d_out, weights), d_v[i])
            if any(ctx.needs_input_grad[:2]):
                d_weights = torch.bmm(d_out.mT, value_halo.tiles(kind))
                d_score = torch.ops.aten._softmax_backward_data(d_weights, weights, -1, kind)
                d_score *= scale
                _untile(torch.bmm(keys, d_score.mT), rows, tiling, d_q[i])
                key_halo.add(torch.bmm(queries, d_score), d_k[i])
        return d_q.to(query.dtype), d_k.to(key.dtype), d_v.to(value.dtype), None


def _count(queries: int, side: int) -> int:
    return (queries + side - 1) // side


def _runs(query: Tensor, value: Tensor, tiling: Tiling) -> list[tuple[slice, slice]]:
    """Images, and rows of tiles in them, to compute at once."""
    _, heads, width, height, columns = query.shape
    per_key = max(width, value.shape[2], tiling.side**2)  # a key's channels, or its weights
    per_row = heads * _count(columns, tiling.side) * tiling.halo**2 * per_key
    count = _count(height, tiling.side)
    spans = list(blocks.spans(count, per_row, blocks.PRODUCT_BLOCK, query.device))
    return [(image, rows) for image in blocks.images(query) for rows in spans]


def _tiles(z: Tensor, rows: slice, tiling: Tiling) -> Tensor:
    """The queries of the tile rows `rows`, tile by tile: (tiles, d, side * side)."""
    b, heads, d, _, columns = z.shape
    side, n, m = tiling.side, rows.stop - rows.start, _count(columns, tiling.side)
    band = z[:, :, :, rows.start * side : rows.stop * side]
    band = F.pad(band, (0, m * side - columns, 0, n * side - band.shape[3]))
    tiles = band.view(b, heads, d, n, side, m, side).permute(0, 1, 3, 5, 2, 4, 6)
    return tiles.reshape(-1, d, side * side)


def _untile(tiles: Tensor, rows: slice, tiling: Tiling, out: Tensor) -> None:
    """Write what `_tiles` would read."""
    b, heads, d, _, columns = out.shape
    side, n, m = tiling.side, rows.stop - rows.start, _count(columns, tiling.side)
    band = tiles.view(b, heads, n, m, d, side, side).permute(0, 1, 4, 2, 5, 3, 6)
    target = out[:, :, :, rows.start * side : rows.stop * side]
    whole = band.reshape(b, heads, d, n * side, m * side)
    target.copy_(whole[:, :, :, : target.shape[3], :columns])


class _Halo:
    """The keys or values that some rows of tiles see."""

    def __init__(self, z: Tensor, rows: slice, query: Tensor, tiling: Tiling) -> None:
        self.z, self.tiling = z, tiling
        self.n, self.m = rows.stop - rows.start, _count(query.shape[4], tiling.side)
        height, width = z.shape[3:]
        pad, self.length = tiling.kernel_size // 2, tiling.length(self.m)
        start = torch.arange(rows.start, rows.stop, device=z.device)[:, None] * tiling.step
        position = start + torch.arange(tiling.halo, device=z.device) - pad
        self.rows = mirrored(position.flatten(), height)
        columns = mirrored(torch.arange(self.length, device=z.device) - pad, width)
        self.inner = slice(pad, min(pad + width, self.length))
        self.left, self.right = columns[:pad], columns[self.inner.stop :]

    def tiles(self, kind: torch.dtype) -> Tensor:
        """Tile by tile: (tiles, d, halo * halo)."""
        band = self.z.index_select(3, self.rows).to(kind)
        left, right = band.index_select(4, self.left), band.index_select(4, self.right)
        inner = band[..., : self.inner.stop - self.inner.start]
        wide = torch.unflatten(torch.cat([left, inner, right], dim=4), 3, (self.n, -1))
        tiles = wide.unfold(5, self.tiling.halo, self.tiling.step).permute(0, 1, 3, 5, 2, 4, 6)
        return tiles.reshape(-1, tiles.shape[4], self.tiling.halo**2)

    def add(self, tiles: Tensor, out: Tensor) -> None:
        """Add to `out` the gradient of `tiles()`."""
        b, heads, d = out.shape[:3]
        halo, step = self.tiling.halo, self.tiling.step
        parts = tiles.view(b, heads, self.n, self.m, d, halo, halo).permute(0, 1, 4, 2, 5, 3, 6)
        wide = tiles.new_zeros(b, heads, d, self.n, halo, self.length)
        apart = -(-halo // step)  # tiles this far apart do not overlap
        for first in range(min(apart, self.m)):
            part = parts[..., first::apart, :]
            wide[..., first * step :].unfold(5, halo, apart * step)[..., : part.shape[5], :] += part
        band = wide.flatten(3, 4)
        inner = band[..., self.inner]
        inner.index_add_(4, self.left, band[..., : self.inner.start])
        inner.index_add_(4, self.right, band[..., self.inner.stop :])
        out[..., : inner.shape[4]].index_add_(3, self.rows, inner)
