"""What the taps of one output pixel read of the map, as `maps` shows it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.ops.deformable.plain import Pair


def read_at(
    x: Float[Tensor, "b c h w"], rows: Int[Tensor, " k"], columns: Int[Tensor, " l"]
) -> Float[Tensor, "b c k l"]:
    """The pixels in these rows and columns; zeros where those are outside of the map."""
    for axis, places in ((2, rows), (3, columns)):
        inside = ((places >= 0) & (places < x.shape[axis])).to(x.dtype)
        x = x.index_select(axis, places.clamp(0, x.shape[axis] - 1))
        x = x * (inside[:, None] if axis == 2 else inside)
    return x


def tap_reads(
    offset: Float[Tensor, "b g k l 2"],
    rows: Int[Tensor, " k"],
    columns: Int[Tensor, " l"],
    size: Pair,
) -> tuple[Float[Tensor, "b t h"], Float[Tensor, "b t w"]]:
    """How much each tap of one output pixel reads of every row, and of every column."""
    found = []
    for axis, places in enumerate((rows[:, None], columns)):
        position = (places + offset[..., axis]).flatten(1)
        pixel = torch.arange(size[axis], device=offset.device, dtype=offset.dtype)
        found.append((1 - (position[..., None] - pixel).abs()).clamp(min=0))
    return found[0], found[1]
