"""The lean arithmetic of interlaced sparse self-attention, on a map of whole cells.

    u = sa_far(x)         groups: the pixels at one place of all cells
    z = sa_near(u)        groups: the pixels of one cell

Only query, key and value are brought into groups, since all else is pointwise.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.layers.self_attention_block import SelfAttentionBlock
from pixelwise.ops.attention import attention
from pixelwise.ops.cells import Cell, join, six_axes, split
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def far_then_near(
    far: SelfAttentionBlock, near: SelfAttentionBlock, x: Float[Tensor, "b c h w"], cell: Cell
) -> Float[Tensor, "b o h w"]:
    """What every pixel sees through both steps."""
    x = _mixed(far, _parts(far, x), cell, "place")
    parts = _parts(near, x)
    del x  # as everything below: what nothing needs any more makes room
    return _mixed(near, parts, cell, "cell")


def two_step_weights(
    far: SelfAttentionBlock,
    near: SelfAttentionBlock,
    x: Float[Tensor, "b c h w"],
    cell: Cell,
    at: tuple[int, int],
) -> Float[Tensor, "b 1 h w"]:
    """The weight of every pixel for the pixel `at`, through its place in the cell of `at`."""
    (rows, columns), (row, column), kind = cell, at, statistics_dtype(x)
    i, j, y, z = row // rows, column // columns, row % rows, column % columns
    parts = _parts(far, x)
    between = _mixed(far, [*parts], cell, "place")
    query, key = (six_axes(part.to(kind), cell) for part in parts[:2])
    other = [six_axes(part.to(kind), cell) for part in _parts(near, between)[:2]]
    with full_precision(x):
        to_far = torch.einsum("bdyz,bdiyjz->byzij", query[:, :, i, :, j], key)
        to_near = torch.einsum("bd,bdyz->byz", other[0][:, :, i, y, j, z], other[1][:, :, i, :, j])
        to_far = to_far.flatten(3).softmax(dim=-1).view(to_far.shape)
        to_near = to_near.flatten(1).softmax(dim=-1).view(to_near.shape)
        return torch.einsum("byz,byzij->biyjz", to_near, to_far).reshape(
            x.shape[0], 1, *x.shape[2:]
        )


def _parts(block: SelfAttentionBlock, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
    """Query, key and value as maps."""
    flat = block.projections(x.flatten(2))
    return [part.view(x.shape[0], part.shape[1], *x.shape[2:]) for part in flat]


def _mixed(
    block: SelfAttentionBlock, parts: list[Tensor], cell: Cell, by: str
) -> Float[Tensor, "b o h w"]:
    """What the pixels become when they attend inside their groups."""
    like = parts[0].new_empty(()).expand(parts[0].shape)
    query, key, value = (split(parts.pop(0), cell, by) for _ in range(3))
    seen = attention(query, key, value, block.max_memory)
    del query, key, value
    seen = join(seen, like, cell, by)
    mixed = block.output(seen.flatten(2))
    return mixed.view(like.shape[0], mixed.shape[1], *like.shape[2:])
