"""Read a map at points between its pixels.

For one channel x of h x w pixels and a point (p, q), moved to the border if it is beyond,

    y(p, q) = sum_ij max(0, 1 - |p - i|) max(0, 1 - |q - j|) x_ij

with p from 0 to h - 1, and q from 0 to w - 1.

Points are rows and columns in pixels, one pair for each pixel of the output and group of channels.
torch's `grid_sample` does it. Beyond the border and on it, points get no gradient, as there.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import with_plain_gradients
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def reference(
    x: Float[Tensor, "b c h w"], rows: Float[Tensor, "b g i j"], columns: Float[Tensor, "b g i j"]
) -> Float[Tensor, "b c i j"]:
    """The four pixels around each point, by their shares."""
    (b, channels), (height, width), groups = x.shape[:2], x.shape[2:], rows.shape[1]
    down, right = _inside(rows, height), _inside(columns, width)
    top, left = down.detach().floor(), right.detach().floor()
    below, beside = down - top, right - left
    pixels = x.reshape(b, groups, channels // groups, height * width)
    y = x.new_zeros(b, groups, channels // groups, *rows.shape[2:])
    for row, row_share in ((top, 1 - below), (top + 1, below)):
        for column, column_share in ((left, 1 - beside), (left + 1, beside)):
            place = row.clamp(max=height - 1) * width + column.clamp(max=width - 1)
            index = place.to(torch.int64).flatten(2)[:, :, None].expand(-1, -1, y.shape[2], -1)
            y = y + pixels.gather(3, index).view(y.shape) * (row_share * column_share)[:, :, None]
    return y.flatten(1, 2)


def read_points(
    x: Float[Tensor, "b c h w"], rows: Float[Tensor, "b g i j"], columns: Float[Tensor, "b g i j"]
) -> Float[Tensor, "b c i j"]:
    """`x` at the points of each group; half types are read in float32."""
    with full_precision(x):
        kind = statistics_dtype(x)
        given = x.to(kind), rows.to(kind), columns.to(kind)
        form = choice.form("point_reading", x)
        if form == "plain":
            return reference(*given).to(x.dtype)
        if form == "traced":
            return _by_operator(*given).to(x.dtype)
        return with_plain_gradients(_by_operator, reference, *given).to(x.dtype)


def _inside(places: Tensor, side: int) -> Tensor:
    kept = (places > 0) & (places < side - 1)
    return torch.where(kept, places, places.detach().clamp(0, side - 1))


def _by_operator(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    height, width = x.shape[2:]
    grid = torch.stack(
        [(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1
    ).flatten(0, 1)
    parts = torch.unflatten(x, 1, (rows.shape[1], -1)).flatten(0, 1)
    y = F.grid_sample(parts, grid, "bilinear", "border", align_corners=False)
    return torch.unflatten(y, 0, (-1, rows.shape[1])).flatten(1, 2)
