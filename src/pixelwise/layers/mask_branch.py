"""One direction of point-wise spatial attention, on a map shrunk by s.

    z = shrunk(relu(norm(Wr x)))        values     ((h - 1) // s + 1 rows, columns alike)
    a = relu(norm(Wg z))                guides
    L_ji = (W a_i)[j - i]               masks      (see `pixelwise.ops.skewed_mask`)

Where s divides h - 1 and w - 1, shrinking leaves pixels out and makes none; with fixed norms Wr
is then applied to those that stay alone.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.parts import conv_norm
from pixelwise.layers.pointwise import pointwise
from pixelwise.ops.attention import attention
from pixelwise.ops.precision import full_precision, statistics_dtype
from pixelwise.ops.skewed_mask import pixel_logits, skewed_attention


class MaskBranch(nn.Module):
    """Values as every pixel of the shrunk map hears them, by its own mask or by the others'."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        mask_size: tuple[int, int],
        *,
        collect: bool,
        compact: bool,
        shrink: int,
        softmax: bool,
    ) -> None:
        super().__init__()
        self.mask_size, self.compact, self.collect = mask_size, compact, collect
        self.shrink, self.softmax = shrink, softmax
        self.reduce = conv_norm(channels, hidden)
        self.guide = conv_norm(hidden, hidden)
        self.mask = nn.Linear(hidden, mask_size[0] * mask_size[1], bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m i j"]:
        """Attend on the shrunk map."""
        value, guide = self._features(x)
        weight = self.mask.weight
        if not self.compact:
            weight = weight.view(*self.mask_size, -1)
            return skewed_attention(
                weight, guide, value, collect=self.collect, softmax=self.softmax
            )
        with full_precision(value):
            guides, masks = guide.flatten(2), weight.T.to(guide.dtype).expand(len(x), -1, -1)
            query, key = (guides, masks) if self.collect else (masks, guides)
            if self.softmax:
                return attention(query, key, value.flatten(2)).view(value.shape)
            return torch.bmm(torch.bmm(value.flatten(2), key.mT), query).view(value.shape)

    def weights(
        self, x: Float[Tensor, "b c h w"], places: list[tuple[int, int]]
    ) -> Float[Tensor, "b places i j"]:
        """Weights of all pixels of the shrunk map for the given ones, in the type of statistics."""
        guide = self._features(x)[1].to(statistics_dtype(x))
        logits = torch.stack([self._logits(guide, place) for place in places], dim=1)
        return logits.flatten(2).softmax(dim=2).view(logits.shape) if self.softmax else logits

    def _features(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b m i j"], Float[Tensor, "b m i j"]]:
        """Values and guides."""
        size = [(side - 1) // self.shrink + 1 for side in x.shape[2:]]
        exact = not (self.reduce[1].training or torch.compiler.is_compiling())
        exact = exact and all((side - 1) % self.shrink == 0 for side in x.shape[2:])
        if exact:
            x = x[:, :, :: self.shrink, :: self.shrink]
        value = pointwise(self.reduce, x.flatten(2)).view(len(x), -1, *x.shape[2:])
        if self.shrink > 1 and not exact:
            value = F.interpolate(value, size, mode="bilinear", align_corners=True)
        if self.compact and size[0] * size[1] != self.mask.out_features:
            raise InputError(
                f"mask_size={self.mask_size}: compact masks of {self.mask.out_features} places got "
                f"a shrunk map of {size[0]} rows and {size[1]} columns, and must have a place for "
                f"each pixel; use mask_size=({size[0]}, {size[1]}), or compact=False"
            )
        return value, pointwise(self.guide, value.flatten(2)).view(value.shape)

    def _logits(
        self, guide: Float[Tensor, "b m i j"], place: tuple[int, int]
    ) -> Float[Tensor, "b i j"]:
        weight = self.mask.weight.to(guide.dtype)
        if not self.compact:
            weight = weight.view(*self.mask_size, -1)
            return pixel_logits(weight, guide, place, collect=self.collect)
        (row, column), (height, width) = place, guide.shape[2:]
        if self.collect:
            return (guide[:, :, row, column] @ weight.T).view(-1, height, width)
        return torch.einsum("m,bmij->bij", weight[row * width + column], guide)
