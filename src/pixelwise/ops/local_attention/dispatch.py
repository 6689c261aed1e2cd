"""Which form of attention in windows is taken."""

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.local_attention.lean import TiledAttention
from pixelwise.ops.local_attention.plain import reference
from pixelwise.ops.local_attention.tiling import TILE, Tiling
from pixelwise.ops.local_attention.traced import by_place, gathered, mirrored_places
from pixelwise.ops.running import choice, kernels
from pixelwise.ops.running.precision import full_precision


def local_attention(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    kernel_size: int,
    stride: int = 1,
) -> Float[Tensor, "b m e i j"]:
    """Attention of each query to an odd `kernel_size` squared keys."""
    tiling = Tiling(kernel_size, stride, max(1, TILE // stride))
    with full_precision(value):
        if torch.compiler.is_exporting():
            rows, columns = mirrored_places(query, key, tiling)
            return by_place(query, key, value, rows, columns, query.shape[2] ** -0.5)
        chosen = choice.form("local_attention", value)
        if chosen == "plain":
            return reference(query, key, value, kernel_size, stride)
        if chosen == "traced":
            return gathered(query, key, value, tiling)
        apply = kernels.either(chosen, "local_attention", TiledAttention.apply)
        return apply(query, key, value, tiling)
