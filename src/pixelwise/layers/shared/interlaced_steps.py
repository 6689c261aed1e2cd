"""The two steps of interlaced sparse self-attention, on a map of whole cells.

    u = sa_far(x)         groups: the pixels at one place of all cells
    z = sa_near(u)        groups: the pixels of one cell

Only query, key and value are brought into groups, since all else is pointwise.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.self_attention_block import SelfAttentionBlock
from pixelwise.ops.attention import attention
from pixelwise.ops.cells import join, six_axes, split
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class InterlacedSteps(nn.Module):
    """The two steps on a map of whole cells."""

    def __init__(
        self, cell: tuple[int, int], far: SelfAttentionBlock, near: SelfAttentionBlock
    ) -> None:
        super().__init__()
        self.cell, self.far, self.near = cell, far, near

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """What every pixel sees through both steps."""
        x = self._mixed(self.far, self._parts(self.far, x), "place")
        parts = self._parts(self.near, x)
        del x  # as everything below: what nothing needs any more makes room
        return self._mixed(self.near, parts, "cell")

    def weights(self, x: Float[Tensor, "b c h w"], at: tuple[int, int]) -> Float[Tensor, "b 1 h w"]:
        """The weight of every pixel for the pixel `at`, through its place in the cell of `at`."""
        (rows, columns), (row, column), kind = self.cell, at, statistics_dtype(x)
        i, j, y, z = row // rows, column // columns, row % rows, column % columns
        parts = self._parts(self.far, x)
        between = self._mixed(self.far, [*parts], "place")
        query, key = (six_axes(part.to(kind), self.cell) for part in parts[:2])
        other = [six_axes(p.to(kind), self.cell) for p in self._parts(self.near, between)[:2]]
        with full_precision(x):
            far = torch.einsum("bdyz,bdiyjz->byzij", query[:, :, i, :, j], key)
            near = torch.einsum("bd,bdyz->byz", other[0][:, :, i, y, j, z], other[1][:, :, i, :, j])
            far = far.flatten(3).softmax(dim=-1).view(far.shape)
            near = near.flatten(1).softmax(dim=-1).view(near.shape)
            return torch.einsum("byz,byzij->biyjz", near, far).reshape(len(x), 1, *x.shape[2:])

    def _parts(self, block: SelfAttentionBlock, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """Query, key and value as maps."""
        flat = block.projections(x.flatten(2))
        return [part.view(len(x), part.shape[1], *x.shape[2:]) for part in flat]

    def _mixed(
        self, block: SelfAttentionBlock, parts: list[Tensor], by: str
    ) -> Float[Tensor, "b o h w"]:
        """What the pixels become when they attend inside their groups."""
        like = parts[0].new_empty(()).expand(parts[0].shape)
        query, key, value = (split(parts.pop(0), self.cell, by) for _ in range(3))
        seen = attention(query, key, value, block.max_memory)
        del query, key, value
        seen = join(seen, like, self.cell, by)
        mixed = block.output(seen.flatten(2))
        return mixed.view(len(like), mixed.shape[1], *like.shape[2:])
