"""Normalisation-based attention: the scales of a batch norm tell which channels matter.

For pixels x_n in R^c of one image,

    z_n = norm(x_n)                        with scales gamma and shifts beta, as any batch norm
    w_c = |gamma_c| / (sum_d |gamma_d|)    a channel's share of all scales
    y_cn = x_cn sigmoid(w_c z_cn)          what of a value passes

Source: Liu et al., "NAM: Normalization-based Attention Module", 2021,
https://arxiv.org/abs/2111.12419.
Reference: github.com/Christian-lyc/NAM, MODELS/attention.py, class Att, which has the channel part
alone (its numbers only: it has no licence file, and was not read). The paper's part for pixels was
never released and is not here; its penalty on the scales belongs to a training script. Differences:
where all scales are zero, so are the shares, which are 0 / 0 there; `shape`, `out_channels` and
`no_spatial` have no use there and are left out.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.fixed_norm import fixed_affine, innermost_norm, is_fixed
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.self_gate import self_gate


class NormalisationAttention(AttentionLayer):
    """Gate every value by itself, normalised, and by its channel's share of the scales.

    Args:
        channels: Channels c of the input and of the output.
        detached: Whether the shares count as constants for gradients, as in the released code;
            the scales then learn through the norm alone.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 6 operations per value and 2 c parameters; in evaluation no map beside the result is
        kept.

    Raises:
        InputError: `channels` is below 1.

    At the start all shares are 1 / c: the gates are near 0.5, and the layer halves its input. In
    training, one image of a single pixel is refused by the norm: one value has no variance.
    """

    key: ClassVar[str] = "nam"
    title: ClassVar[str] = "Normalization-based attention module"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = ("NAMAttention", "normalization-based attention")
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {"Channel_Att.bn2": "norm"}

    def __init__(self, channels: int, *, detached: bool = True) -> None:
        super().__init__(channels)
        self.detached = detached
        self.norm = nn.BatchNorm2d(channels)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise, weigh by the shares of the scales, and gate."""
        return x * self._gate(x)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """With running statistics the gate is one function of a value, and is not kept."""
        if not is_fixed(self.norm):
            return formatted(self.plain(x), x)
        with full_precision(x):
            kind, shares = statistics_dtype(x), self._shares()
            scale, shift = (shares * value.to(shares.dtype) for value in fixed_affine(self.norm))
            of_each = (value.to(kind).expand(x.shape[0], -1) for value in (scale, shift))
            return self_gate(x.flatten(2), *of_each).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the values, the same for every `at`; a head is a channel."""
        return Maps(spatial=self._gate(x))

    def _gate(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        z = self.norm(x)
        return (self._shares().to(z.dtype)[:, None, None] * z).sigmoid()

    def _shares(self) -> Float[Tensor, " c"]:
        """Of the scales of all channels, in the type of statistics."""
        scales = innermost_norm(self.norm).weight
        sizes = (scales.detach() if self.detached else scales).to(statistics_dtype(scales)).abs()
        total = sizes.sum()
        return sizes / torch.where(total > 0, total, 1.0)
