"""Disentangled non-local block: what a pixel looks for, and what every pixel looks at.

For pixels x_j in R^c of one image, with q, k, v and Wo as in the non-local block, and the mean over
pixels of a quantity written <q>,

    A_ij = softmax_j((q_i - <q>) . (k_j - <k>) / t)    where pixel i looks: of its own accord
    m_j = softmax_j(w . x_j + beta)                    where all look: at what stands out
    y_i = x_i + Wo sum_j (A_ij + m_j) v_j + bo

A non-local block's q_i . k_j is the whitened product, plus <q> . k_j, which is the same for all i,
plus what a softmax over j ignores; its one softmax mixes the two, and they learn badly together.

Source: Yin et al., "Disentangled Non-Local Neural Networks", ECCV 2020,
https://arxiv.org/abs/2006.06668.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/dnl_head.py (Apache-2.0),
DisentangledNonLocal2d. There t = 0.05, and `use_scale` divides by sqrt(d) besides; in the other
modes likeness is that of the non-local block, without t, of whitened q and k. Difference: its mode
"gaussian" is left out, since it overwrites the input.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import Heads, Maps
from pixelwise.layers.non_local import NonLocal
from pixelwise.ops.pooling import pixel_weights
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class DisentangledNonLocal(NonLocal):
    """Add to every pixel a mixture of all pixels, by its likeness and by what stands out.

    Args:
        channels: Channels c of the input and of the output.
        mode: "embedded_gaussian" as above, "dot_product" or "concatenation".
        reduction: The width d of query, key and value is `channels // reduction`.
        hidden: That width itself, in place of `reduction`.
        use_scale: Whether "embedded_gaussian" divides by sqrt(d).
        temperature: What "embedded_gaussian" divides by besides, t.
        norm: Whether a batch norm follows Wo, which then has no bias.
        zero_start: Whether Wo, or its norm, starts at zero.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 (h w)^2 d multiply-adds; linear for "dot_product" and "concatenation". Memory linear
        in h * w.

    Raises:
        InputError: An option is out of range.

    The identity at initialisation, unless `zero_start` is off. The gradients of bq, bk and beta are
    zero: whitening and softmax ignore shifts.
    """

    key: ClassVar[str] = "dnl"
    title: ClassVar[str] = "Disentangled non-local block"
    year: ClassVar[int] = 2020
    aliases: ClassVar[tuple[str, ...]] = (
        "DNLBlock",
        "DNLNet",
        "DisentangledNonLocal2d",
        "disentangled non-local neural networks",
    )
    cost_exponent: float = 2.0
    map_heads: Heads = Heads("sum", ("pairwise", "unary"))
    benchmark_cases: ClassVar[tuple[str, ...]] = ("",)
    reference_keys: ClassVar[Mapping[str, str]] = {
        **NonLocal.reference_keys,
        "conv_mask": "mask",
    }

    def __init__(
        self,
        channels: int,
        *,
        mode: str = "embedded_gaussian",
        reduction: int = 2,
        hidden: int | None = None,
        use_scale: bool = True,
        temperature: float = 0.05,
        norm: bool = False,
        zero_start: bool = True,
    ) -> None:
        one_of(("embedded_gaussian", "dot_product", "concatenation"), mode=mode)
        if not temperature > 0:
            raise InputError(f"temperature={temperature}: must be above 0; e.g. temperature=0.05")
        super().__init__(
            channels,
            mode=mode,
            reduction=reduction,
            hidden=hidden,
            use_scale=use_scale,
            norm=norm,
            zero_start=zero_start,
        )
        if mode == "embedded_gaussian":
            self.scale /= temperature
        self.mask = nn.Linear(channels, 1)
        self._reset_mask()

    def reset_parameters(self) -> None:
        """Initialise as the non-local block, and w as torch does; beta, without effect, is zero."""
        super().reset_parameters()
        if hasattr(self, "mask"):  # not yet while the block below is constructed
            self._reset_mask()

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh the values by A, or its like in another mode, plus m; add what that gives."""
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (b, n, c)
        assert self.query is not None
        assert self.keys is not None
        query, key, value = self.query(pixels), self.keys(pixels), self.value(pixels)
        query = query - query.mean(dim=1, keepdim=True)
        key = key - key.mean(dim=1, keepdim=True)
        if self.mode == "embedded_gaussian":
            own = (self.scale * torch.einsum("bid,bjd->bij", query, key)).softmax(dim=2)
        else:
            own = self._likeness(query, key)  # without a softmax: that of the non-local block
        shared = self.mask(pixels).softmax(dim=1).mT  # (b, 1, n)
        seen = torch.einsum("bij,bjd->bid", own + shared, value)
        mixed = self.expand(seen).mT.contiguous().view(x.shape)
        return x + (mixed if self.norm is None else self.norm(mixed))

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Two maps: the weights of the pixel `at`, and those that all pixels share.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        own = super().maps(x, at).spatial
        assert own is not None
        with full_precision(x):
            return Maps(spatial=torch.cat([own, self._mask(x).view(own.shape)], dim=1))

    def _reset_mask(self) -> None:
        self.mask.reset_parameters()
        nn.init.zeros_(self.mask.bias)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = super()._parts(x)
        return query - query.mean(2, keepdim=True), key - key.mean(2, keepdim=True), value

    def _alike(self, x: Tensor, value: Tensor) -> Tensor:
        with full_precision(x):
            seen = torch.einsum("bdn,bn->bd", value.to(statistics_dtype(x)), self._mask(x))
            return self.expand(seen.to(self.expand.weight.dtype))[:, :, None]

    def _mask(self, x: Tensor) -> Tensor:
        return pixel_weights(x.flatten(2), self.mask.weight[0], self.mask.bias)
