"""Position attention: every pixel gathers from the pixels that look like it.

For pixels x_j in R^c of one image,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    A_ij = softmax_j(q_i . k_j)           where pixel i looks    (not scaled by 1 / sqrt(d))
    y_i = x_i + gamma sum_j A_ij v_j      what it sees, added

Source: Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019,
https://arxiv.org/abs/1809.02983.
With variant="untransposed", y_i = x_i + gamma sum_j A_ji v_j: a pixel gathers from those that look
at it, with weights that do not sum to 1. The layer of a widespread article on DANet is so, by a
missing transpose; its parameters have the same names, so that the keys of a checkpoint cannot tell.

Reference: github.com/junfu1115/DANet, encoding/nn/da_att.py (MIT), PAM_Module; mmsegmentation's
DAHead has the same layer with a key width of its own (`hidden`). Difference: the matrix of all
pairs is never kept, in neither direction.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.layers.base import AttentionLayer, Maps, pixel_index, reduced
from pixelwise.ops.attention import attention
from pixelwise.ops.polarized_gate import pixel_logits
from pixelwise.ops.running.precision import full_precision, statistics_dtype

VARIANTS = ("code", "untransposed")
ROWS = 256
"""So many pixels' weights exist at a time in the maps of "untransposed"."""


class PositionAttention(AttentionLayer):
    """Add to every pixel a mixture of all pixels, weighed by likeness.

    Args:
        channels: Channels c of the input and of the output.
        reduction: The key width is `channels // reduction`.
        hidden: Key width itself, in place of `reduction`.
        variant: "code" is the authors' layer and the paper's; "untransposed" is for weights that
            were trained with the other one, which has the same keys.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        (h w)^2 (c + hidden) multiply-adds; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The identity at initialisation, since gamma starts at zero. The gradient of bk is zero: a
    softmax ignores shifts. "untransposed" has no lean form: all pairs of pixels exist.
    """

    key: ClassVar[str] = "pam"
    title: ClassVar[str] = "Position attention module"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "PAM_Module",
        "dual position attention",
    )
    cost_exponent: float = 2.0
    max_memory: int | None = None
    """Bytes for the weights of pairs that exist at a time; `limit_memory` sets it."""
    reference_keys: ClassVar[Mapping[str, str]] = {
        "query_conv": "query",
        "key_conv": "keys",
        "value_conv": "value",
        "gamma": "gain",
        "query_project": "query",
        "key_project": "keys",
        "value_project": "value",
        "gamma.scale": "gain",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 8,
        hidden: int | None = None,
        variant: str = VARIANTS[0],
    ) -> None:
        super().__init__(channels)
        one_of(VARIANTS, variant=variant)
        self.untransposed = variant == "untransposed"
        width = reduced(channels, reduction, hidden)
        self.query = nn.Linear(channels, width)
        self.keys = nn.Linear(channels, width)
        self.value = nn.Linear(channels, channels)
        self.gain = nn.Parameter(torch.zeros(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: torch's own projections, and a gain of zero."""
        for projection in (self.query, self.keys, self.value):
            projection.reset_parameters()
        nn.init.zeros_(self.gain)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what every pixel sees, times gamma."""
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (b, n, c)
        query, key, value = self.query(pixels), self.keys(pixels), self.value(pixels)
        weights = torch.einsum("bid,bjd->bij", query, key).softmax(dim=2)  # where pixel i looks
        if self.untransposed:
            weights = weights.mT  # who looks at pixel i
        seen = torch.einsum("bij,bjc->bic", weights, value)
        return x + self.gain * seen.mT.reshape(x.shape)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One product for all three projections; the weights of pairs exist in blocks."""
        if self.untransposed:
            with full_precision(x):
                return self.plain(x)
        parts = (self.query, self.keys, self.value)
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
        # One product for all three: a matrix product beats a 1x1 convolution on CPUs.
        projected = torch.baddbmm(bias[:, None], weight.expand(x.shape[0], -1, -1), x.flatten(2))
        with full_precision(x):
            query, key, value = torch.split(projected, [part.out_features for part in parts], dim=1)
            seen = attention(query, key, value, self.max_memory).to(x.dtype).view(x.shape)
            return torch.addcmul(x, self.gain.to(x.dtype), seen)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees all pixels; only this row is computed.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        index = pixel_index(x, at)
        with full_precision(x):
            kind = statistics_dtype(x)
            flat = x.flatten(2)
            if self.untransposed:
                pixels = flat.mT.to(self.query.weight.dtype)
                query, key = self.query(pixels).to(kind), self.keys(pixels).to(kind)
                rows = query.split(ROWS, dim=1)
                column = torch.cat([(q @ key.mT).softmax(dim=-1)[:, :, index] for q in rows], 1)
                return Maps(spatial=column.reshape(x.shape[0], 1, *x.shape[2:]))
            query = self.query(flat[:, :, index].to(self.query.weight.dtype)).to(kind)
            direction = query @ self.keys.weight.to(kind)  # bk shifts all scores alike
            weights = pixel_logits(flat, direction, None).softmax(dim=-1)
            return Maps(spatial=weights.view(x.shape[0], 1, *x.shape[2:]))
