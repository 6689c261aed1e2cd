"""One direction of point-wise spatial attention, on a map shrunk by s.

    z = shrunk(relu(norm(Wr x)))        values     (see `Shrinking`)
    a = relu(norm(Wg z))                guides
    W a                                 masks      (a logit per place of the mask, for every pixel)

`forward` gives values and masks; the layer says what they mean. The lean form attends without
writing the masks: see `pixelwise.ops.skewed_mask`. Where s divides h - 1 and w - 1 and corners are
kept, shrinking leaves pixels out and makes none; with fixed norms Wr is then applied to those that
stay alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.layers.shared.pointwise import pointwise
from pixelwise.ops.attention import attention
from pixelwise.ops.resizing import Side, neighbours, resized, shares
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.skewed_mask import pixel_logits, skewed_attention


@dataclass(frozen=True)
class Shrinking:
    """Rows and columns over s, bilinear: rounded up, with the corners kept.

    With `mixed` that holds only where s divides neither; else they are rounded down, to 1 at
    least, and the corners are not kept.
    """

    factor: int
    mixed: bool

    def size(self, sides: Sequence[Side]) -> tuple[tuple[Side, Side], Side]:
        """Rows and columns of the shrunk map, and whether the corners are kept."""
        (height, width), s = sides, self.factor
        if not self.mixed:
            return ((height - 1) // s + 1, (width - 1) // s + 1), True
        rest = torch.sym_min(height % s, 1) * torch.sym_min(width % s, 1)
        return (torch.sym_max(height // s + rest, 1), torch.sym_max(width // s + rest, 1)), rest

    def around(
        self, at: tuple[int, int], sides: Sequence[int], border: int, *, corners: Side
    ) -> list[tuple[int, int]]:
        """The pixels of the shrunk map that the pixel `at` of the map lies between.

        `border` is what the shrunk map gets around it on its way back; a pixel of it is outside.
        """
        lines = zip(at, sides, self.size(sides)[0], strict=True)
        rows, columns = (
            [i - border for i in neighbours(place, side, small + 2 * border, corners=corners)]
            for place, side, small in lines
        )
        return [(row, column) for row in rows for column in columns]

    def spread(
        self, weights: Float[Tensor, "b k i j"], sides: Sequence[int]
    ) -> Float[Tensor, "b k h w"]:
        """Weights of shrunk pixels, given to the pixels that these were made from."""
        size, kept = self.size(sides)
        down, across = (
            shares(side, small, weights, corners=kept)
            for side, small in zip(sides, size, strict=True)
        )
        return down.T @ weights @ across


class MaskBranch(nn.Module):
    """Values of the shrunk map, and a mask of each of its pixels."""

    max_memory: int | None = None
    """Bytes for the weights of pairs that exist at a time; `limit_memory` sets it."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        mask_size: tuple[int, int],
        *,
        collect: bool,
        compact: bool,
        shrink: Shrinking,
        softmax: bool,
    ) -> None:
        super().__init__()
        self.mask_size, self.compact, self.collect = mask_size, compact, collect
        self.shrink, self.softmax = shrink, softmax
        self.reduce = conv_norm(channels, hidden)
        self.guide = conv_norm(hidden, hidden)
        self.mask = nn.Linear(hidden, mask_size[0] * mask_size[1], bias=False)

    def forward(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b m i j"], Float[Tensor, "b n places"]]:
        """Values z, and the mask W a of every pixel."""
        size, corners = self.shrink.size(x.shape[2:])
        self._fit(size)
        sides = [int(side) for side in size]
        value = F.interpolate(self.reduce(x), sides, mode="bilinear", align_corners=bool(corners))
        return value, self.mask(self.guide(value).permute(0, 2, 3, 1).flatten(1, 2))

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m i j"]:
        """Attend on the shrunk map; masks and weights of pairs exist in blocks."""
        value, guide = self._features(x)
        weight = self.mask.weight
        if not self.compact:
            weight = weight.view(*self.mask_size, -1)
            return skewed_attention(
                weight,
                guide,
                value,
                collect=self.collect,
                softmax=self.softmax,
                max_memory=self.max_memory,
            )
        with full_precision(value):
            guides, masks = guide.flatten(2), weight.T.to(guide.dtype).expand(x.shape[0], -1, -1)
            query, key = (guides, masks) if self.collect else (masks, guides)
            if self.softmax:
                seen = attention(query, key, value.flatten(2), self.max_memory)
                return seen.view(value.shape)
            return torch.bmm(torch.bmm(value.flatten(2), key.mT), query).view(value.shape)

    def weights(
        self, x: Float[Tensor, "b c h w"], places: list[tuple[int, int]]
    ) -> Float[Tensor, "b places i j"]:
        """Weights of all pixels of the shrunk map for the given ones, in the type of statistics.

        They are 0 for places outside of the map.
        """
        guide = self._features(x)[1].to(statistics_dtype(x))
        return torch.stack([self._weights(guide, place) for place in places], dim=1)

    def _features(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b m i j"], Float[Tensor, "b m i j"]]:
        """Values and guides."""
        height, width = x.shape[2:]
        size, corners = self.shrink.size(x.shape[2:])
        step = self.shrink.factor
        exact = not (self.reduce[1].training or torch.compiler.is_compiling()) and bool(corners)
        exact = exact and (height - 1) % step == 0 and (width - 1) % step == 0
        if exact:
            x = x[:, :, ::step, ::step]
        value = pointwise(self.reduce, x.flatten(2)).view(x.shape[0], -1, *x.shape[2:])
        if step > 1 and not exact:
            value = resized(value, size, corners)
        self._fit(size)
        return value, pointwise(self.guide, value.flatten(2)).view(value.shape)

    def _fit(self, size: tuple[Side, Side]) -> None:
        places = self.mask_size[0] * self.mask_size[1]
        if self.compact and size[0] * size[1] != places:
            raise InputError(
                f"mask_size={self.mask_size}: compact masks of {places} places got "
                f"a shrunk map of {size[0]} rows and {size[1]} columns, and must have a place for "
                f"each pixel; use mask_size=({size[0]}, {size[1]}), or compact=False"
            )

    def _weights(
        self, guide: Float[Tensor, "b m i j"], place: tuple[int, int]
    ) -> Float[Tensor, "b i j"]:
        (row, column), (height, width) = place, guide.shape[2:]
        if torch.compiler.is_compiling():  # a place that is left free
            lines: list[Any] = [(row, height), (column, width)]
            nearest = [torch.sym_max(0, torch.sym_min(i, side - 1)) for i, side in lines]
            present = [(torch.arange(side, device=guide.device) == i).any() for i, side in lines]
            inside = (present[0] & present[1]).to(guide.dtype)
            return self._seen(guide, (nearest[0], nearest[1])) * inside
        if not (0 <= row < height and 0 <= column < width):
            return torch.zeros_like(guide[:, 0])
        return self._seen(guide, place)

    def _seen(
        self, guide: Float[Tensor, "b m i j"], place: tuple[int, int]
    ) -> Float[Tensor, "b i j"]:
        logits = self._logits(guide, place)
        return logits.flatten(1).softmax(dim=1).view(logits.shape) if self.softmax else logits

    def _logits(
        self, guide: Float[Tensor, "b m i j"], place: tuple[int, int]
    ) -> Float[Tensor, "b i j"]:
        weight = self.mask.weight.to(guide.dtype)
        if not self.compact:
            weight = weight.view(*self.mask_size, -1)
            return pixel_logits(weight, guide, place, collect=self.collect)
        (row, column), (height, width) = place, guide.shape[2:]
        if self.collect:
            return (guide.select(2, row).select(2, column) @ weight.T).view(-1, height, width)
        return torch.einsum("m,bmij->bij", weight.select(0, row * width + column), guide)
