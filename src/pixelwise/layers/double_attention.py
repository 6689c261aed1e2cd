"""Double attention: gather a few descriptors of the picture, then hand them out to the pixels.

For pixels x_n in R^c of one image and k descriptors,

    p_jn = softmax_n(wb_j . x_n + bb_j)        where descriptor j is gathered
    v_jn = softmax_j(wv_j . x_n + bv_j)        which descriptors pixel n takes
    d_j = sum_n p_jn (Wa x_n + ba)             what is there
    y_n = Wo sum_j v_jn d_j + bo

Source: Chen et al., "A^2-Nets: Double Attention Networks", NeurIPS 2018,
https://arxiv.org/abs/1810.11579.
Reference: none by the authors is known. github.com/changzy00/pytorch-attention,
attention_mechanisms/double_attention.py (MIT), has this form. Differences: Wa and Wo are applied to
the descriptors, never to the map; widths have defaults. The paper adds the result to its input,
outside.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.base import AttentionLayer, Heads, Maps, pixel_index, reduced
from pixelwise.layers.shared.pointwise import formatted, product
from pixelwise.ops.running.precision import full_precision, statistics_dtype

Shares = tuple[Float[Tensor, "b k n"], Float[Tensor, "b k n"]]


class DoubleAttention(AttentionLayer):
    """Give every pixel a mixture of descriptors that were gathered from all pixels.

    Args:
        channels: Channels c of the input and of the output.
        reduction: The width of a descriptor and their number are `channels // reduction`.
        hidden: Width of a descriptor itself, in place of `reduction`.
        descriptors: Their number k, in place of `reduction`.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        4 c k multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    Nothing is added to the input. The gradient of bb is zero: a softmax ignores shifts.
    """

    key: ClassVar[str] = "double"
    title: ClassVar[str] = "Double attention"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = ("A2Net", "A2-Nets", "A²-Nets", "Double attention block")
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("sum", "descriptor")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "convA": "value",
        "convB": "gather",
        "convV": "share",
        "proj": "restore",
        "conv_reconstruct": "restore",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 4,
        hidden: int | None = None,
        descriptors: int | None = None,
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        if descriptors is None:
            descriptors = max(1, channels // reduction)
        at_least(1, descriptors=descriptors)
        self.value = nn.Conv2d(channels, width, 1)
        self.gather = nn.Conv2d(channels, descriptors, 1)
        self.share = nn.Conv2d(channels, descriptors, 1)
        self.restore = nn.Conv2d(width, channels, 1)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gather descriptors, and hand them out."""
        gathered = self.gather(x).flatten(2).softmax(dim=2)  # over the pixels
        shared = self.share(x).flatten(2).softmax(dim=1)  # over the descriptors
        found = torch.einsum("bmn,bkn->bmk", self.value(x).flatten(2), gathered)
        y = torch.einsum("bmk,bkn->bmn", found, shared)
        return self.restore(y.reshape(x.shape[0], -1, *x.shape[2:]))

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The wide maps are never written: their weights are applied to the descriptors."""
        with full_precision(x):
            kind = statistics_dtype(x)
            flat = x.flatten(2).to(self.value.weight.dtype)
            gathered, shared = self._shares(flat)
            pooled = torch.bmm(flat, gathered.mT.to(flat.dtype)).to(kind)  # (b, c, k)
            for part in (self.value, self.restore):
                assert part.bias is not None
                bias = part.bias.to(kind) if part is self.value else None
                pooled = product(part.weight.flatten(1).to(kind), bias, pooled)
            assert self.restore.bias is not None
            bias = self.restore.bias.to(flat.dtype)[:, None]
            y = torch.baddbmm(bias, pooled.to(flat.dtype), shared.to(flat.dtype))
            return formatted(y.view(x.shape[0], -1, *x.shape[2:]), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights of all pixels for the pixel `at`, by each descriptor (a head); they sum to 1.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        index = pixel_index(x, at)
        gathered = self.gather(x).flatten(2).softmax(dim=2)
        shared = self.share(x).flatten(2).softmax(dim=1)
        weights = shared[:, :, index, None] * gathered
        return Maps(spatial=weights.view(x.shape[0], -1, *x.shape[2:]))

    def _shares(self, flat: Float[Tensor, "b c n"]) -> Shares:
        """Of the pixels in each descriptor, and of the descriptors in each pixel."""
        kind = statistics_dtype(flat)
        gather, share = (
            product(part.weight.flatten(1), part.bias, flat).to(kind)
            for part in (self.gather, self.share)
        )
        return gather.softmax(dim=2), share.softmax(dim=1)
