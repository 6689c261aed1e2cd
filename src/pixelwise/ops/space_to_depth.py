"""Move every f x f block of pixels into the channels of one pixel.

y_((f j + i) c + k, u, v) = x_(k, f u + i, f v + j)     column offset j, row offset i, channel k

torch's own pixel_unshuffle does the same with channels in the order (k, i, j), and is taken where
the graph is traced: sizes of slices with a step cannot be told equal there.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice


def reference(x: Float[Tensor, "b c h w"], factor: int) -> Float[Tensor, "b e i j"]:
    """One slice of every f-th row and column for each offset."""
    offsets = [(i, j) for j in range(factor) for i in range(factor)]
    return torch.cat([x[:, :, i::factor, j::factor] for i, j in offsets], dim=1)


def space_to_depth(x: Float[Tensor, "b c h w"], factor: int) -> Float[Tensor, "b e i j"]:
    """Rearrange; height and width must be multiples of `factor`."""
    if choice.form("space_to_depth", x) == "plain":
        return reference(x, factor)
    apart = torch.unflatten(F.pixel_unshuffle(x, factor), 1, (-1, factor, factor))
    return apart.permute(0, 3, 2, 1, 4, 5).flatten(1, 3)
