"""Attention in windows for graphs in which heights and widths are free.

A compiled graph has all tiles at once, an exported one the places of the window one after the
other: numbers of tiles would be fixed where they are one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.local_attention.tiling import Tiling, mirrored, tile_weights
from pixelwise.ops.running.precision import statistics_dtype


def by_place(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    rows: Sequence[Tensor],
    columns: Sequence[Tensor],
    scale: float,
    bias: Float[Tensor, "#m places i j"] | None = None,
) -> Float[Tensor, "b m e i j"]:
    """One place of the window after the other: `rows` and `columns` name it for each query."""
    kind = statistics_dtype(value)

    def seen(z: Tensor) -> Iterator[Tensor]:
        for row in rows:
            band = z.to(kind).index_select(3, row)
            yield from (band.index_select(4, column) for column in columns)

    scaled = query.to(kind) * scale
    score = torch.stack([(scaled * z).sum(dim=2) for z in seen(key)], dim=2)
    weights = (score if bias is None else score + bias).softmax(dim=2)
    out = torch.zeros_like(value.to(kind)[:, :, :, 0, 0])[..., None, None]
    for weight, z in zip(weights.unbind(2), seen(value), strict=True):
        out = out + weight[:, :, None] * z
    return out.to(value.dtype)


def mirrored_places(
    query: Tensor, key: Tensor, tiling: Tiling
) -> tuple[list[Tensor], list[Tensor]]:
    """Rows and columns of the key at each place of the windows of all queries."""
    size = tiling.kernel_size

    def along(count: Any, length: Any) -> list[Tensor]:
        own = torch.arange(count, device=key.device) * tiling.stride
        return [mirrored(own + (place - size // 2), length) for place in range(size)]

    return along(query.shape[3], key.shape[3]), along(query.shape[4], key.shape[4])


def gathered(query: Tensor, key: Tensor, value: Tensor, tiling: Tiling) -> Tensor:
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
    out = torch.bmm(values, tile_weights(queries, keys, tiling.mask(queries)).mT)
    out = out.view(b, heads, n, m, value.shape[2], side, side).permute(0, 1, 4, 2, 5, 3, 6)
    out = out.reshape(b, heads, value.shape[2], n * side, m * side).to(value.dtype)
    rows, columns = torch.arange(i, device=device), torch.arange(j, device=device)
    return out.index_select(3, rows).index_select(4, columns)
