"""Attention of every pixel to the window around it, without a copy of every window.

For one head, a query i that stands at pixel s i, and the k x k pixels j around it, the map
mirrored beyond its border,

    A_ij = softmax_j(q_i . k_j / sqrt(d))     where query i looks
    o_i = sum_j A_ij v_j                      what it sees

Tiles of T x T neighbouring queries share one halo of ((T - 1) s + k)^2 keys: two matrix products
per tile, in which each query's keys outside of its window are masked. Tiles are computed some
rows at a time; backward computes their weights again from q and k. A compiled graph has all tiles
at once, an exported one the places of the window one after the other.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import kernels
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.precision import (
    Gradients,
    full_precision,
    own_backward,
    statistics_dtype,
)

TILE = 8
"""Rows and columns of the map under one tile of queries."""


def reference(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    kernel_size: int,
    stride: int = 1,
) -> Float[Tensor, "b m e i j"]:
    """Attention in windows as the equations say."""
    kind = statistics_dtype(value)
    keys, values = (_windows(z.to(kind), kernel_size, stride) for z in (key, value))
    score = torch.einsum("bmdij,bmdijkl->bmijkl", query.to(kind), keys) * query.shape[2] ** -0.5
    weights = score.flatten(-2).softmax(dim=-1).view(score.shape)
    return torch.einsum("bmeijkl,bmijkl->bmeij", values, weights).to(value.dtype)


def _windows(z: Tensor, kernel_size: int, stride: int) -> Tensor:
    padded = F.pad(z.flatten(0, 1), (kernel_size // 2,) * 4, mode="reflect")
    windows = padded.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)
    return windows.view(*z.shape[:2], *windows.shape[1:])


def local_attention(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    kernel_size: int,
    stride: int = 1,
) -> Float[Tensor, "b m e i j"]:
    """Attention of each query to an odd `kernel_size` squared keys; see the module."""
    tiling = _Tiling(kernel_size, stride, max(1, TILE // stride))
    with full_precision(value):
        if torch.compiler.is_exporting():
            rows, columns = _mirrored_places(query, key, tiling)
            return by_place(query, key, value, rows, columns, query.shape[2] ** -0.5)
        chosen = choice.form("local_attention", value)
        if chosen == "plain":
            return reference(query, key, value, kernel_size, stride)
        if chosen == "traced":
            return _gathered(query, key, value, tiling)
        apply = kernels.either(chosen, "local_attention", _TiledAttention.apply)
        return apply(query, key, value, tiling)


def mirrored(position: Tensor, size: Any) -> Tensor:
    """Which of `size` rows a position is, once the rows are mirrored at both ends.

    Positions even further out, which no query sees, are row 0.
    """
    return (size - 1 - (size - 1 - position.abs()).abs()).clamp(min=0)


class _Tiling(NamedTuple):
    kernel_size: int
    stride: int
    side: int
    """Rows and columns of queries in a tile."""

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.side * self.stride

    @property
    def halo(self) -> int:
        """Rows and columns of keys that a tile sees."""
        return self.step - self.stride + self.kernel_size

    def length(self, tiles: int) -> int:
        """Rows or columns of keys that `tiles` neighbouring tiles see."""
        return (tiles - 1) * self.step + self.halo

    def mask(self, like: Tensor) -> Tensor:
        """0 for the keys of the halo (columns) in the window of a query (rows), else -inf."""
        first = torch.arange(self.side, device=like.device)[:, None] * self.stride
        position = torch.arange(self.halo, device=like.device)
        inside = (position >= first) & (position < first + self.kernel_size)
        both = inside[:, None, :, None] & inside[None, :, None, :]
        mask = like.new_zeros(self.side**2, self.halo**2)
        return mask.masked_fill(~both.view(mask.shape), float("-inf"))


def _weights(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    score = torch.baddbmm(mask, query.mT, key, alpha=query.shape[1] ** -0.5)
    return score.softmax(dim=-1)


class _TiledAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, tiling: _Tiling) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.tiling = tiling
        q, k, v = query.to(statistics_dtype(value)), key, value
        mask = tiling.mask(q)
        out = value.new_empty(*query.shape[:2], value.shape[2], *query.shape[3:])
        for i, rows in _runs(query, value, tiling):
            keys, values = (_Halo(z[i], rows, query, tiling).tiles(q.dtype) for z in (k, v))
            weights = _weights(_tiles(q[i], rows, tiling), keys, mask)
            _untile(torch.bmm(values, weights.mT), rows, tiling, out[i])
        return out

    @staticmethod
    @own_backward
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        query, key, value = ctx.saved_tensors
        tiling, kind = ctx.tiling, statistics_dtype(value)
        scale = query.shape[2] ** -0.5
        q, g = query.to(kind), grad.to(kind)
        mask = tiling.mask(q)
        d_q, d_k, d_v = (torch.zeros_like(z, dtype=kind) for z in (query, key, value))
        for i, rows in _runs(query, value, tiling):
            key_halo, value_halo = (_Halo(z[i], rows, query, tiling) for z in (key, value))
            keys, queries = key_halo.tiles(kind), _tiles(q[i], rows, tiling)
            weights, d_out = _weights(queries, keys, mask), _tiles(g[i], rows, tiling)
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


def _runs(query: Tensor, value: Tensor, tiling: _Tiling) -> list[tuple[slice, slice]]:
    """Images, and rows of tiles in them, to compute at once."""
    _, heads, width, height, columns = query.shape
    per_key = max(width, value.shape[2], tiling.side**2)  # a key's channels, or its weights
    per_row = heads * _count(columns, tiling.side) * tiling.halo**2 * per_key
    count = _count(height, tiling.side)
    spans = list(blocks.spans(count, per_row, blocks.PRODUCT_BLOCK, query.device))
    return [(image, rows) for image in blocks.images(query) for rows in spans]


def _tiles(z: Tensor, rows: slice, tiling: _Tiling) -> Tensor:
    """The queries of the tile rows `rows`, tile by tile: (tiles, d, side * side)."""
    b, heads, d, _, columns = z.shape
    side, n, m = tiling.side, rows.stop - rows.start, _count(columns, tiling.side)
    band = z[:, :, :, rows.start * side : rows.stop * side]
    band = F.pad(band, (0, m * side - columns, 0, n * side - band.shape[3]))
    tiles = band.view(b, heads, d, n, side, m, side).permute(0, 1, 3, 5, 2, 4, 6)
    return tiles.reshape(-1, d, side * side)


def _untile(tiles: Tensor, rows: slice, tiling: _Tiling, out: Tensor) -> None:
    """Write what `_tiles` would read."""
    b, heads, d, _, columns = out.shape
    side, n, m = tiling.side, rows.stop - rows.start, _count(columns, tiling.side)
    band = tiles.view(b, heads, n, m, d, side, side).permute(0, 1, 4, 2, 5, 3, 6)
    target = out[:, :, :, rows.start * side : rows.stop * side]
    whole = band.reshape(b, heads, d, n * side, m * side)
    target.copy_(whole[:, :, :, : target.shape[3], :columns])


class _Halo:
    """The keys or values that some rows of tiles see."""

    def __init__(self, z: Tensor, rows: slice, query: Tensor, tiling: _Tiling) -> None:
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


def by_place(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    rows: Sequence[Tensor],
    columns: Sequence[Tensor],
    scale: float,
    bias: Float[Tensor, "#m places i j"] | None = None,
) -> Float[Tensor, "b m e i j"]:
    """One place of the window after the other: `rows` and `columns` name it for each query.

    For graphs that run at any height and width: numbers of tiles would be fixed where they are one.
    """
    kind = statistics_dtype(value)

    def seen(z: Tensor) -> Iterator[Tensor]:
        for row in rows:
            band = z.to(kind).index_select(3, row)
            yield from (band.index_select(4, column) for column in columns)

    scaled = query.to(kind) * scale
    score = torch.stack([(scaled * z).sum(dim=2) for z in seen(key)], dim=2)
    weights = (score if bias is None else score + bias).softmax(dim=2)
    out = torch.zeros_like(value.to(kind)[:, :, :, :1, :1])
    for weight, z in zip(weights.unbind(2), seen(value), strict=True):
        out = out + weight[:, :, None] * z
    return out.to(value.dtype)


def _mirrored_places(
    query: Tensor, key: Tensor, tiling: _Tiling
) -> tuple[list[Tensor], list[Tensor]]:
    """Rows and columns of the key at each place of the windows of all queries."""
    size = tiling.kernel_size

    def along(count: Any, length: Any) -> list[Tensor]:
        own = torch.arange(count, device=key.device) * tiling.stride
        return [mirrored(own + (place - size // 2), length) for place in range(size)]

    return along(query.shape[3], key.shape[3]), along(query.shape[4], key.shape[4])


def _gathered(query: Tensor, key: Tensor, value: Tensor, tiling: _Tiling) -> Tensor:
    """All tiles at once, by index alone: for graphs in which heights and widths are free."""
    b, heads, _, i, j = query.shape
    side, n, m = tiling.side, -(-i // tiling.side), -(-j // tiling.side)
    kind, device, pad = statistics_dtype(value), value.device, tiling.kernel_size // 2

    def places(count: Any, length: int, step: int) -> Tensor:
        start = torch.arange(count, device=device)[:, None] * step
        return start + torch.arange(length, device=device)

    def tiles(z: Tensor, length: int, rows: Tensor, columns: Tensor) -> Tensor:
        chosen = z.to(kind).index_select(3, rows.flatten()).index_select(4, columns.flatten())
        parts = chosen.view(b, heads, z.shape[2], n, length, m, length)
        return parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, z.shape[2], length**2)

    own = [places(count, side, side).clamp(max=size - 1) for count, size in ((n, i), (m, j))]
    around = [
        mirrored(places(count, tiling.halo, tiling.step) - pad, size)
        for count, size in ((n, key.shape[3]), (m, key.shape[4]))
    ]
    queries = tiles(query, side, *own)
    keys, values = (tiles(z, tiling.halo, *around) for z in (key, value))
    out = torch.bmm(values, _weights(queries, keys, tiling.mask(queries)).mT)
    out = out.view(b, heads, n, m, value.shape[2], side, side).permute(0, 1, 4, 2, 5, 3, 6)
    out = out.reshape(b, heads, value.shape[2], n * side, m * side).to(value.dtype)
    rows, columns = torch.arange(i, device=device), torch.arange(j, device=device)
    return out.index_select(3, rows).index_select(4, columns)
