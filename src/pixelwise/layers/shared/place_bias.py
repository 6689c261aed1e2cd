"""What the way from a pixel to a sample adds to their score.

Places are (row, column) from -1, the first pixel's, to 1, the last one's. For pixel i at p_i and
sample j at s_j, it is read from a table of offsets, or a small network tells it:

    b_ij = T((p_i - s_j) / 2)
    b_ij = mlp(sign(e) log2(4 |e| + 1) / 3),  e = p_i - s_j
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.layers.shared.sampling_places import pixels
from pixelwise.ops.between_pixels import between_pixels


def of_pixels(numbers: Tensor, size: Sequence[Any], like: Tensor) -> Float[Tensor, "n 2"]:
    """The places of pixels, by their numbers in a map of this size."""
    row = numbers // size[1]
    lines = (row, numbers - row * size[1])
    return torch.stack(
        [
            line.to(like.dtype) / torch.sym_max(1, n - 1) * 2 - 1
            for line, n in zip(lines, size, strict=True)
        ],
        dim=1,
    )


def table_bias(
    own: Float[Tensor, "n 2"], places: Float[Tensor, "b g k 2"], table: Float[Tensor, "m i j"]
) -> Float[Tensor, "b m n k"]:
    """What a table of offsets says, which has a part for each head; zero beyond it."""
    b, groups = places.shape[:2]
    offset = (own[:, None] - places[:, :, None]).flatten(0, 1) / 2  # (b g, n, k, 2)
    rows, columns = (pixels(offset[..., axis], table.shape[1 + axis]) for axis in (0, 1))
    parts = torch.unflatten(table, 0, (groups, -1)).to(places.dtype)
    parts = parts.expand(b, -1, -1, -1, -1).flatten(0, 1)
    found = between_pixels(parts, rows, columns)
    return torch.unflatten(found, 0, (b, groups)).flatten(1, 2)


def scaled(own: Float[Tensor, "n 2"], places: Float[Tensor, "b g k 2"]) -> Tensor:
    """Offsets (b, g, n, k, 2) on a logarithmic scale, from about -1 to 1."""
    offset = own[:, None] - places[:, :, None]
    return offset.sign() * torch.log2(4 * offset.abs() + 1) / 3


def network_bias(
    own: Float[Tensor, "n 2"],
    places: Float[Tensor, "b g k 2"],
    weight: Float[Tensor, "e 2"],
    bias: Float[Tensor, " e"],
    last: Float[Tensor, "j e"],
) -> Float[Tensor, "b m n k"]:
    """What a small network makes of them, for the heads of each group."""
    kind = places.dtype
    hidden = F.linear(scaled(own, places), weight.to(kind), bias.to(kind)).relu()
    return F.linear(hidden, last.to(kind)).movedim(4, 2).flatten(1, 2)
