"""Strip attention: a gate from the means of the row and of the column, each channel by itself.

For a map x of h rows and w columns,

    r_ci = mean_j x_cij                       what is in row i
    t_cj = mean_i x_cij                       what is in column j
    y_cij = x_cij sigmoid((H * r)_ci + (V * t)_cj)

where H * and V * are convolutions of each channel by itself over a few neighbouring rows and
columns.

Source: no paper; the layer StripAttn of timm.
Reference: github.com/huggingface/pytorch-image-models, timm/layers/coord_attn.py (Apache-2.0),
StripAttn. Differences: an even number of taps, with which their means change length, is refused;
both means are taken in one pass.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.axis_means import axis_means

GATES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": Tensor.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
}


class StripAttention(AttentionLayer):
    """Gate every value by what its channel has in the same row and in the same column.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Neighbouring rows, or columns, whose means are mixed; odd. 0 mixes none: then
            there are no parameters.
        bias: Whether the mixtures have biases.
        gate: "sigmoid", or "hard_sigmoid", min(max(z + 3, 0), 6) / 6.
        residual: Add the input.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 4 c operations per pixel and c * kernel_size multiply-adds per row and column.

    Raises:
        InputError: An option is out of range.

    A gate is the sigmoid of a sum, not the product of two gates as in coordinate attention: what is
    strong in a row alone opens the gate of all its pixels.
    """

    key: ClassVar[str] = "strip"
    title: ClassVar[str] = "Strip attention"
    year: ClassVar[int | None] = None
    aliases: ClassVar[tuple[str, ...]] = ("StripAttn", "strip_attn")
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {"conv_h": "mix_rows", "conv_w": "mix_columns"}

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 3,
        bias: bool = False,
        gate: str = "sigmoid",
        residual: bool = False,
    ) -> None:
        super().__init__(channels)
        at_least(0, kernel_size=kernel_size)
        if kernel_size and kernel_size % 2 == 0:
            raise InputError(f"kernel_size={kernel_size}: must be odd or 0; take one more or less")
        one_of(tuple(GATES), gate=gate)
        self.gate, self.residual = gate, residual
        self.mix_rows = _mixture(channels, kernel_size, bias)
        self.mix_columns = _mixture(channels, kernel_size, bias)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate every pixel by the means of its row and of its column."""
        rows = self.mix_rows(x.mean(dim=3))[:, :, :, None]  # (b, c, h, 1)
        columns = self.mix_columns(x.mean(dim=2))[:, :, None, :]  # (b, c, 1, w)
        gated = x * GATES[self.gate](rows + columns)
        return gated + x if self.residual else gated

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One pass takes both means; their gradients are added to that of the product in place."""
        x, gates = self._gates(x)
        gated = x * gates
        return formatted(gated + x if self.residual else gated, x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        return Maps(spatial=self._gates(x)[1])

    def _gates(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        """The map to go on with, and the gates."""
        x, rows, columns = axis_means(x)
        rows, columns = self.mix_rows(rows), self.mix_columns(columns)
        total = rows[:, :, :, None] + columns[:, :, None, :]
        return x, GATES[self.gate](total).to(x.dtype)


def _mixture(channels: int, taps: int, bias: bool) -> nn.Module:
    """A convolution of each channel by itself along a line, or nothing."""
    if taps == 0:
        return nn.Identity()
    return nn.Conv1d(channels, channels, taps, padding=taps // 2, groups=channels, bias=bias)
