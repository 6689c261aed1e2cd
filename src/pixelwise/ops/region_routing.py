"""A map cut into regions whose number is wanted, and their pixels gathered by region.

Regions have max(1, h // n) rows and likewise columns; there are ceil(h / rows) of them along an
axis, more than n where n does not divide. The last ones are padded below and to the right with
zeros.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.ops.cells import parted
from pixelwise.ops.running.precision import statistics_dtype


@dataclass(frozen=True)
class Regions:
    """The grid: integers, or symbols in a traced graph."""

    size: tuple[Any, Any]
    """Rows and columns of a region."""
    count: tuple[Any, Any]
    """Regions along each axis."""

    @classmethod
    def of(cls, x: Float[Tensor, "b c h w"], regions: int) -> "Regions":
        """About `regions` along each axis of x, where that has as many rows or columns."""
        height, width = (torch.sym_max(1, side // regions) for side in x.shape[2:])
        down, across = (x.shape[2] + height - 1) // height, (x.shape[3] + width - 1) // width
        return cls((height, width), (down, across))

    def at(self, row: int, column: int) -> Any:
        """The region of a pixel."""
        return row // self.size[0] * self.count[1] + column // self.size[1]

    def pixels(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Int[Tensor, "n p"], Float[Tensor, "n p"]]:
        """The pixels of each region, and 0 for those of the padding, else 1."""
        height, width = x.shape[2:]
        region = torch.arange(self.count[0] * self.count[1], device=x.device)[:, None]
        pixel = torch.arange(self.size[0] * self.size[1], device=x.device)
        (down, right), (below, beside) = parted(region, self.count[1]), parted(pixel, self.size[1])
        row, column = down * self.size[0] + below, right * self.size[1] + beside
        inside = (row < height) & (column < width)
        place = row.clamp(max=height - 1) * width + column.clamp(max=width - 1)
        return place, inside.to(statistics_dtype(x))

    def split(self, z: Float[Tensor, "b c h w"], heads: int) -> Float[Tensor, "b n m p d"]:
        """The pixels by region and head."""
        pixels, inside = self.pixels(z)
        tokens = z.flatten(2).mT[:, pixels] * inside[..., None].to(z.dtype)
        return torch.unflatten(tokens, 3, (heads, -1)).transpose(2, 3)

    def means(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c"]:
        """The mean of each region, without the padding, in the type of statistics."""
        pixels, inside = self.pixels(z)
        tokens = z.flatten(2).mT[:, pixels].to(inside.dtype)
        return torch.einsum("bnpc,np->bnc", tokens, inside / inside.sum(dim=1, keepdim=True))

    def chosen(
        self, tokens: Float[Tensor, "b n m p d"], choice: Int[Tensor, "b n t"]
    ) -> Float[Tensor, "b n m q d"]:
        """For each region the pixels of those that it has chosen: q = t p."""
        image = torch.arange(tokens.shape[0], device=tokens.device)[:, None, None]
        return tokens[image, choice].transpose(2, 3).flatten(3, 4)

    def join(
        self, seen: Float[Tensor, "b n m p d"], x: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h w"]:
        """Undo `split`: the pixels at their places."""
        row = torch.arange(x.shape[2], device=x.device)[:, None]
        column = torch.arange(x.shape[3], device=x.device)
        (down, below), (right, beside) = parted(row, self.size[0]), parted(column, self.size[1])
        region, pixel = down * self.count[1] + right, below * self.size[1] + beside
        tokens = seen.transpose(2, 3).flatten(3)[:, region, pixel]  # (b, h, w, c)
        return tokens.permute(0, 3, 1, 2)
