"""A map read at places between its pixels.

    y_p = sum_n w_pn x_n      four pixels n around place p, with bilinear shares; zero outside

Places are rows and columns in pixels. Gradients are those of the formula, as often as wanted.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

Shares = tuple[Int[Tensor, "b 4 *places"], Float[Tensor, "b 4 *places"]]


def shares(
    rows: Float[Tensor, "b *places"],
    columns: Float[Tensor, "b *places"],
    size: Any,
) -> Shares:
    """The four pixels around each place, as numbers of a map of `size`, and their shares."""
    (height, width), found, parts = size, [], []
    above, left = rows.detach().floor(), columns.detach().floor()
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = above + down, left + right
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        part = (rows - above if down else above + 1 - rows) * (
            columns - left if right else left + 1 - columns
        )
        row, column = row.long().clamp(0, height - 1), column.long().clamp(0, width - 1)
        found.append(row * width + column)
        parts.append(part * inside)
    return torch.stack(found, dim=1), torch.stack(parts, dim=1)


def between_pixels(
    x: Float[Tensor, "b c h w"], rows: Float[Tensor, "b i j"], columns: Float[Tensor, "b i j"]
) -> Float[Tensor, "b c i j"]:
    """The map at all places."""
    pixels, parts = shares(rows, columns, (x.shape[2], x.shape[3]))
    flat, read = x.flatten(2), torch.zeros_like(x[..., :1, :1])
    for pixel, part in zip(pixels.unbind(1), parts.unbind(1), strict=True):
        index = pixel.flatten(1)[:, None].expand(-1, x.shape[1], -1)
        read = read + torch.unflatten(flat.gather(2, index), 2, part.shape[1:]) * part[:, None]
    return read
