"""Attention of every query to the keys of its own window, one window along each axis.

    A_ij = softmax_{j in W(i)}(q_i . k_j)     where query i looks
    o_i = sum_j A_ij v_j                      what it sees

W(i) is a row's window times a column's (`neighbour_windows`). Tiles of neighbouring queries share
a halo of keys, in which those outside of a query's window are masked: two matrix products a tile,
some rows of tiles at a time. Backward computes the weights again from q and k. An exported or
compiled graph has the places of the window one after the other.
"""

import functools
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from pixelwise.ops.local_attention import by_place
from pixelwise.ops.neighbour_windows import Window, tiled
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.precision import full_precision, statistics_dtype

SIDE = 8
"""Queries of a tile along each axis at most; else one more than the window has places."""


def neighbour_attention(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    rows: Window,
    columns: Window,
) -> Float[Tensor, "b m e i j"]:
    """Attention of each query to the keys in its rows and columns; memory linear in both.

    Channels last in memory are read without a copy, and so is the answer laid out.
    """
    with full_precision(value):
        chosen = choice.form("neighbour_attention", value)
        if chosen == "plain":
            return reference(query, key, value, rows, columns)
        if chosen == "traced":
            height, width = key.shape[3:]
            down = [place.clamp(0, height - 1) for place in rows.places()]
            across = [place.clamp(0, width - 1) for place in columns.places()]
            hidden = ~in_window(rows, columns).flatten(0, 1)[None]
            mask = torch.zeros_like(hidden, dtype=statistics_dtype(value))
            mask = mask.masked_fill(hidden, float("-inf"))
            return by_place(query, key, value, down, across, 1.0, mask)
        found: Tensor = _Tiled.apply(query, *_kept_apart(key, value), rows, columns)
        return found


def _kept_apart(
    key: Float[Tensor, "b m d h w"], value: Float[Tensor, "b m e h w"]
) -> tuple[Tensor, Tensor]:
    """The key says that a value is NaN or infinite, which stands there as 0.

    A tile multiplies what a query does not look at by 0, and that would not keep NaN away; a key
    that it does not look at is masked. A processor sees by a sum whether there is any; to ask an
    accelerator would wait for it.
    """
    if value.device.type == "cpu" and (isinstance(value, FakeTensor) or _finite(value)):
        return key, value
    wrong = ~value.isfinite().all(dim=2, keepdim=True)
    return key.masked_fill(wrong, float("nan")), value.masked_fill(wrong, 0.0)


def _finite(value: Tensor) -> bool:
    """False where a number is NaN or infinite, or the sum of all is."""
    return bool(value.detach().sum(dtype=statistics_dtype(value)).isfinite())


def reference(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    rows: Window,
    columns: Window,
) -> Float[Tensor, "b m e i j"]:
    """Attention in windows as the equations say."""
    kind = statistics_dtype(value)
    keys, values = (neighbours(z.to(kind), rows, columns) for z in (key, value))
    score = torch.einsum("bmdij,bmdkilj->bmklij", query.to(kind), keys)
    score = score.masked_fill(~in_window(rows, columns), float("-inf"))
    weights = score.flatten(2, 3).softmax(dim=2).view(score.shape)
    return torch.einsum("bmklij,bmekilj->bmeij", weights, values).to(value.dtype)


def neighbours(
    z: Float[Tensor, "b m d h w"], rows: Window, columns: Window
) -> Float[Tensor, "b m d k i l j"]:
    """What stands at the places (k, l) of the window of each query (i, j); 0 where none is seen."""
    down, across = (torch.stack(window.places()) for window in (rows, columns))
    z = z.index_select(3, down.clamp(0, z.shape[3] - 1).flatten())
    z = z.index_select(4, across.clamp(0, z.shape[4] - 1).flatten())
    z = torch.unflatten(torch.unflatten(z, 4, across.shape), 3, down.shape)
    return z.masked_fill(~in_window(rows, columns).transpose(1, 2), 0.0)


def in_window(rows: Window, columns: Window) -> Bool[Tensor, "k l i j"]:
    """At which of these places each query looks."""
    return rows.inside()[:, None, :, None] & columns.inside()[None, :, None]


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    plain = functools.partial(reference, rows=ctx.windows[0], columns=ctx.windows[1])
    return plain, ctx.saved_tensors


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, rows: Window, columns: Window
    ) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.windows = rows, columns
        q, k, v = map(_tokens, (query, key, value))
        grid = _Grid(query, key, rows, columns)
        out = grid.tiles_of(v)
        for i, part in grid.parts(q, v):
            weights = part.weights(part.queries(q[i]), part.keys(k[i]))
            out[i, :, part.span] = torch.matmul(weights, part.keys(v[i])).flatten(2, 3)
        return grid.map_of(out).to(value.dtype)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        query, key, value = ctx.saved_tensors
        kind, pair = statistics_dtype(value), any(ctx.needs_input_grad[:2])
        q, k, v, g = map(_tokens, (query, key, value, grad))
        grid = _Grid(query, key, *ctx.windows)
        d_q = grid.tiles_of(q)
        d_k, d_v = (torch.zeros_like(z, dtype=kind) for z in (k, v))
        for i, part in grid.parts(q, v):
            queries, keys = part.queries(q[i]), part.keys(k[i])
            weights, d_out = part.weights(queries, keys), part.queries(g[i]) * part.real
            part.add(torch.matmul(weights.mT, d_out), d_v[i])
            if pair:
                d_weights = torch.matmul(d_out, part.keys(v[i]).mT)
                d_score = torch.ops.aten._softmax_backward_data(d_weights, weights, -1, kind)
                d_q[i, :, part.span] = torch.matmul(d_score, keys).flatten(2, 3)
                part.add(torch.matmul(d_score.mT, queries), d_k[i])
        d_key, d_value = (z.mT.view_as(like) for z, like in ((d_k, key), (d_v, value)))
        return (
            grid.map_of(d_q).to(query.dtype) if pair else None,
            d_key.to(key.dtype) if pair else None,
            d_value.to(value.dtype),
            None,
            None,
        )


def _tokens(z: Float[Tensor, "b m d h w"]) -> Float[Tensor, "b m n d"]:
    """Channels last; copied where they are not so in memory."""
    tokens = z.flatten(3).mT
    return tokens if tokens.stride(-1) == 1 else tokens.contiguous()


class _Grid:
    """All tiles: (tile row, tile column, row, column) is the order of queries in them."""

    def __init__(self, query: Tensor, key: Tensor, rows: Window, columns: Window) -> None:
        sides = (
            min(SIDE, w.kernel_size + 1, -(-len(w.start) // w.dilation)) for w in (rows, columns)
        )
        self.rows, self.columns = (
            tiled(window, size, side)
            for window, size, side in zip((rows, columns), key.shape[3:], sides, strict=True)
        )
        self.size, self.widths = query.shape[3:], (query.shape[4], key.shape[4])
        self.kind = statistics_dtype(query)

    def tiles_of(self, z: Float[Tensor, "b m n d"]) -> Float[Tensor, "b m tiled d"]:
        """Room for something that is computed tile by tile."""
        count = self.rows.queries.numel() * self.columns.queries.numel()
        return z.new_empty(*z.shape[:2], count, z.shape[3], dtype=self.kind)

    def map_of(self, tiles: Float[Tensor, "b m tiled d"]) -> Float[Tensor, "b m d i j"]:
        """What was computed tile by tile, each query at its place."""
        across, sides = len(self.columns.queries), (self.rows.queries, self.columns.queries)
        down, right = (queries.shape[1] for queries in sides)
        row = self.rows.tile * across * down + self.rows.slot
        place = row[:, None] * right + self.columns.tile * down * right + self.columns.slot
        found = tiles.index_select(2, place.flatten())
        return torch.unflatten(found.mT, 3, self.size)

    def parts(self, query: Tensor, value: Tensor) -> Iterator[tuple[slice, "_Part"]]:
        """Images, and rows of tiles in them, to compute at once."""
        tile = self.rows.queries.shape[1] * self.columns.queries.shape[1]
        halo = self.rows.keys.shape[1] * self.columns.keys.shape[1]
        across = len(self.columns.queries)
        widest = max(tile, query.shape[3], value.shape[3])
        per_row = query.shape[1] * across * halo * widest
        count, budget = len(self.rows.queries), blocks.PRODUCT_BLOCK
        for images in blocks.images(query):
            for run in blocks.spans(count, per_row, budget, query.device):
                yield images, _Part(self, run)


class _Part:
    """Some rows of tiles."""

    def __init__(self, grid: _Grid, run: slice) -> None:
        rows, columns = grid.rows, grid.columns
        own, halo = grid.widths
        self._queries = _crossed(rows.queries[run] * own, columns.queries)
        self._keys = _crossed(rows.keys[run] * halo, columns.keys)
        seen = rows.seen[run, None, :, None, :, None] & columns.seen[:, None, :, None]
        self._hidden = ~seen.flatten(4).flatten(2, 3).flatten(0, 1)
        real = rows.real[run, None, :, None] & columns.real[:, None]
        self.real = real.flatten(2).flatten(0, 1)[..., None].to(grid.kind)
        size = self._queries.shape[1] * len(columns.queries)
        self.span = slice(run.start * size, run.stop * size)
        self._kind = grid.kind

    def queries(self, z: Float[Tensor, "b m n d"]) -> Float[Tensor, "b m tiles side d"]:
        return _taken(z, self._queries, self._kind)

    def keys(self, z: Float[Tensor, "b m n d"]) -> Float[Tensor, "b m tiles halo d"]:
        return _taken(z, self._keys, self._kind)

    def weights(self, queries: Tensor, keys: Tensor) -> Float[Tensor, "b m tiles side halo"]:
        score = torch.matmul(queries, keys.mT).masked_fill_(self._hidden, float("-inf"))
        return score.softmax(dim=-1)

    def add(self, tiles: Tensor, out: Float[Tensor, "b m n d"]) -> None:
        """Add to `out` the gradient of `keys`."""
        out.index_add_(2, self._keys.flatten(), tiles.flatten(2, 3))


def _crossed(rows: Tensor, columns: Tensor) -> Tensor:
    """Tile by tile, the pixels in these rows and columns."""
    return (rows[:, None, :, None] + columns[:, None]).flatten(2).flatten(0, 1)


def _taken(z: Tensor, pixels: Tensor, kind: torch.dtype) -> Tensor:
    return torch.unflatten(z.index_select(2, pixels.flatten()), 2, pixels.shape).to(kind)
