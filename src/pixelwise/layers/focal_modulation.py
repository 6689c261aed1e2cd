"""Focal modulation: contexts of growing kernels, gated at each pixel, multiply the query.

For pixels x_i in R^c and L levels,

    [q, z, g, r] = W1 x + b1                    query, first context, L gates per pixel, one more
    z_l = gelu(D_l * z_(l - 1))                 D_l: one k_l x k_l kernel per channel, z_0 = z
    u = gelu(mean_i z_Li)                       the whole map, as one vector
    m_i = sum_l g_li z_li + r_i u               what surrounds the pixel, from near to far
    y_i = W3 (q_i * (W2 m_i + b2)) + b3         no weights of pairs, no softmax

with k_l = k + s (l - 1). `normalise` divides m by L + 1, `norm` puts a layer norm over channels
before W3.

Source: Yang et al., "Focal Modulation Networks", NeurIPS 2022, https://arxiv.org/abs/2203.11926.
Reference: github.com/microsoft/FocalNet, classification/focalnet.py (MIT), FocalModulation.
Differences: channels come first, and 1x1 convolutions are matrix products.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, in_range
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.parts import reset
from pixelwise.layers.shared.pointwise import formatted, product
from pixelwise.ops.running.precision import statistics_dtype


class FocalModulation(AttentionLayer):
    """Multiply every pixel's query with what its surroundings, near and far, make of its gates.

    Args:
        channels: Channels c of the input and of the output.
        window: Sides k of the kernels of the first level; odd.
        levels: Number L of levels.
        growth: By how much s the sides grow from level to level; even.
        bias: Whether W1 and W2 have a bias.
        norm: A layer norm over channels follows the modulation.
        normalise: The contexts are divided by their number, L + 1.
        dropout: Share of values that are dropped at the end, in training.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        (4 c + L + 1 + sum of k_l^2) c multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "focal"
    title: ClassVar[str] = "Focal modulation"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = ("FocalNet", "Focal Modulation Networks")
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", "level")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "f": "project",
        "focal_layers": "contexts",
        "h": "modulate",
        "ln": "norm",
        "proj": "expand",
    }

    def __init__(
        self,
        channels: int,
        *,
        window: int = 3,
        levels: int = 2,
        growth: int = 2,
        bias: bool = True,
        norm: bool = False,
        normalise: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(channels)
        at_least(1, window=window, levels=levels)
        at_least(0, growth=growth)
        in_range(0, 1, dropout=dropout)
        for name, value, odd in (("window", window, True), ("growth", growth, False)):
            if value % 2 != odd and (odd or levels > 1):
                rule = "odd" if odd else "even, so that each kernel has a middle"
                raise InputError(f"{name}={value}: must be {rule}; add or take 1")
        self.project = nn.Linear(channels, 2 * channels + levels + 1, bias=bias)
        sides = range(window, window + growth * levels, growth) if growth else [window] * levels
        self.contexts = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels, bias=False),
                nn.GELU(),
            )
            for side in sides
        )
        self.modulate = nn.Conv2d(channels, channels, 1, bias=bias)
        self.norm = nn.LayerNorm(channels) if norm else None
        self.expand = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.share = 1 / (levels + 1) if normalise else 1.0

    def reset_parameters(self) -> None:
        """Initialise again, as torch does."""
        reset(*self.children())

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Contexts level by level, each with its gate; what they add up to modulates the query."""
        query, gates, contexts = self._parts(self.project(x.permute(0, 2, 3, 1)).movedim(3, 1))
        total = sum(gates[:, [i]] * context for i, context in enumerate(contexts))
        seen = query * self.modulate(total * self.share)
        seen = seen.permute(0, 2, 3, 1)
        seen = seen if self.norm is None else self.norm(seen)
        return self.dropout(self.expand(seen)).permute(0, 3, 1, 2)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Products with channels first, so that no map is copied to move an axis."""
        query, gates, contexts = self._parts(self._projected(x))
        total = gates[:, -1:] * contexts[-1]
        for i, context in enumerate(contexts[:-1]):
            total = torch.addcmul(total, gates[:, i : i + 1], context)
        weight = self.modulate.weight.flatten(1) * self.share
        seen = query.flatten(2) * product(weight, self.modulate.bias, total.flatten(2))
        if self.norm is not None:
            seen = self.norm(seen.mT).mT
        y = self.dropout(product(self.expand.weight, self.expand.bias, seen))
        return formatted(y.view(x.shape), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """The gates of each level, the last of them that of the whole map; `at` changes nothing.

        They may be negative, and do not add up to 1.
        """
        channels, kind = self.channels, statistics_dtype(x)
        weight, bias = self.project.weight[2 * channels :], self.project.bias
        gates = torch.einsum("oc,bchw->bohw", weight.to(kind), x.to(kind))
        if bias is not None:
            gates = gates + bias[2 * channels :, None, None].to(kind)
        return Maps(spatial=gates)

    def _projected(self, x: Tensor) -> Float[Tensor, "b o h w"]:
        y = product(self.project.weight, self.project.bias, x.flatten(2))
        return torch.unflatten(y, 2, x.shape[2:])

    def _parts(self, projected: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Query, gates, and the contexts of all levels and of the whole map."""
        query, context, gates = torch.split(
            projected, [self.channels, self.channels, len(self.contexts) + 1], dim=1
        )
        contexts = []
        for level in self.contexts:
            context = level(context)
            contexts.append(context)
        whole = context.mean((2, 3), keepdim=True, dtype=statistics_dtype(context))
        return query, gates, [*contexts, F.gelu(whole).to(context.dtype)]
