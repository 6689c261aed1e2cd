"""Efficient local attention: a gate for every row and column, from the rows and columns beside it.

For a map x of h rows and w columns,

    r_ci = mean_j x_cij                         what is in row i
    t_cj = mean_i x_cij                         what is in column j
    a = gate(act(norm(R * r + d)))              which rows matter, by their neighbours
    e = gate(act(norm(T * t + f)))              which columns matter
    y_cij = x_cij a_ci e_cj                     (x may be added)

where R and T are convolutions along the rows and along the columns, of each channel by itself,
and norm is over all channels and places of an image jointly, or over groups of channels.

Source: Xu and Wan, "ELA: Efficient Local Attention for Deep Convolutional Neural Networks", 2024,
https://arxiv.org/abs/2403.01123.
Reference: timm/layers/coord_attn.py, EfficientLocalAttn (Apache-2.0), which is the default; no
repository of the authors is known. The form that goes around as the paper's has one convolution
and one norm for rows and columns, and no activation; it is not compared with recorded numbers:
shared=True, activation="none", and kernel_size=5, norm_groups=32 (ELA-T), norm_groups=16 (ELA-B),
kernel_size=5, groups=c // 8, norm_groups=16 (ELA-S) or groups=c // 8, norm_groups=16 (ELA-L).
Difference: none known.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.parts import GroupNorm
from pixelwise.layers.squeeze_excitation import ACTIVATIONS, GATES
from pixelwise.ops.axis_gate import axis_gate
from pixelwise.ops.axis_means import axis_means


class EfficientLocalAttention(AttentionLayer):
    """Gate every channel by its rows and by its columns, each beside its neighbours.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Rows, or columns, that a gate sees; odd.
        bias: Whether the convolutions have biases.
        norm: Whether a norm follows each convolution.
        norm_groups: Groups of channels that are normalised apart.
        groups: Groups of the convolutions; by default each channel is by itself.
        shared: One convolution and one norm for rows and columns.
        activation: Before the gate: "relu", "silu", "gelu", "hard_swish" or "none".
        gate: "sigmoid", or "hard_sigmoid", min(max(z + 3, 0), 6) / 6.
        skip: Whether the input is added.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 4 operations per value, and c * kernel_size multiply-adds per row and column.

    Raises:
        InputError: An option is out of range, or does not divide the channels.

    With "silu" or "relu" no gate is below 0.43 or 0.5: that activation has no large negative value.
    """

    key: ClassVar[str] = "ela"
    title: ClassVar[str] = "Efficient local attention"
    year: ClassVar[int] = 2024
    aliases: ClassVar[tuple[str, ...]] = ("EfficientLocalAttn", "Efficient localization attention")
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv_h": "mix_rows",
        "conv_w": "mix_columns",
        "norm_h": "norm_rows",
        "norm_w": "norm_columns",
    }

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 7,
        bias: bool = False,
        norm: bool = True,
        norm_groups: int = 1,
        groups: int | None = None,
        shared: bool = False,
        activation: str = "silu",
        gate: str = "sigmoid",
        skip: bool = False,
    ) -> None:
        super().__init__(channels)
        groups = channels if groups is None else groups
        at_least(1, kernel_size=kernel_size, norm_groups=norm_groups, groups=groups)
        if kernel_size % 2 == 0:
            raise InputError(f"kernel_size={kernel_size}: must be odd; take one more or one less")
        for name, parts in (("norm_groups", norm_groups), ("groups", groups)):
            if channels % parts:
                raise InputError(f"{name}={parts}: must divide channels={channels}; lower it")
        one_of((*ACTIVATIONS, "none"), activation=activation)
        one_of(tuple(GATES), gate=gate)
        self.activation, self.gate, self.skip = activation, gate, skip

        def conv() -> nn.Conv1d:
            padding = kernel_size // 2
            return nn.Conv1d(
                channels, channels, kernel_size, padding=padding, groups=groups, bias=bias
            )

        self.mix_rows = conv()
        self.mix_columns = None if shared else conv()
        self.norm_rows = GroupNorm(norm_groups, channels) if norm else None
        self.norm_columns = GroupNorm(norm_groups, channels) if norm and not shared else None

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate every channel by its rows, and by its columns."""
        rows, columns = self._gates(x.mean(dim=3), x.mean(dim=2))
        y = x * rows[:, :, :, None] * columns[:, :, None, :]
        return x + y if self.skip else y

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One pass takes both means, one applies both gates."""
        onward, *means = axis_means(x)
        y = axis_gate(onward, *self._gates(*means))
        return x + y if self.skip else y

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        rows, columns = self._gates(x.mean(dim=3), x.mean(dim=2))
        return Maps(spatial=rows[:, :, :, None] * columns[:, :, None, :])

    def _gates(
        self, rows: Float[Tensor, "b c h"], columns: Float[Tensor, "b c w"]
    ) -> tuple[Float[Tensor, "b c h"], Float[Tensor, "b c w"]]:
        """Gates of the rows and of the columns from their means."""
        mix_columns = self.mix_rows if self.mix_columns is None else self.mix_columns
        norm_columns = self.norm_rows if self.norm_columns is None else self.norm_columns
        return (
            self._gate(rows, self.mix_rows, self.norm_rows),
            self._gate(columns, mix_columns, norm_columns),
        )

    def _gate(
        self, means: Float[Tensor, "b c n"], mix: nn.Module, norm: nn.Module | None
    ) -> Float[Tensor, "b c n"]:
        z = mix(means)
        z = z if norm is None else norm(z)
        z = z if self.activation == "none" else ACTIVATIONS[self.activation](z)
        return GATES[self.gate](z).to(means.dtype)
