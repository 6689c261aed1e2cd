"""Deformable attention: all pixels attend to a few samples of the map, at places that it chooses.

For pixels x_i in R^c, channels in groups g that have places of their own, heads of width d,

    q_i = Wq x_i + bq
    o_gj = Wo gelu(norm(Wn * q_g))_j                 two numbers for each sample j, a coarse grid
    s_gj = r_j + f tanh(o_gj) / (n - 1)              where it lies, from its place r_j on the grid
    z_gj = x_g(s_gj)                                 bilinear between pixels, zero outside
    A_ij = softmax_j(q_i . k_j / sqrt(d) + B_ij)     k_j, v_j = Wk z_j + bk, Wv z_j + bv
    y_i = W sum_j A_ij v_j + b                       what pixel i sees, all heads

B is what a table or a small network says of the way from pixel to sample. The grid has n rows (and
columns likewise), a stride apart; r_j runs past the last pixel. With a negative f the places are
r_j + o_gj, held inside of the map.

Source: Xia et al., "Vision Transformer with Deformable Attention", CVPR 2022,
https://arxiv.org/abs/2201.00520; "DAT++", 2023, https://arxiv.org/abs/2309.01430.
Reference: github.com/LeapLabTHU/DAT, models/dat_blocks.py (Apache-2.0), DAttentionBaseline.
Differences: the layer returns the map alone, and `places` the rest; grids of one row or column,
which fail there, have their sample in the middle; maps below the kernel are padded; no dropout. A
network's last bias, which the softmax ignores, is left out.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, pixel_index
from pixelwise.layers.shared.parts import reset
from pixelwise.layers.shared.place_bias import network_bias, of_pixels, scaled, table_bias
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.layers.shared.sampling_places import SamplingPlaces, applied
from pixelwise.layers.shared.shared_projections import head_width
from pixelwise.ops.attention import attention
from pixelwise.ops.biased_attention import biased_attention
from pixelwise.ops.running.precision import full_precision, statistics_dtype

POSITIONS = ("table", "fixed", "network", "convolution", "none")
HIDDEN = 32
"""Width of the network of positions."""


class DeformableAttention(AttentionLayer):
    """Let every pixel see samples of the map at places that it chooses.

    Args:
        channels: Channels c of the input and of the output.
        heads: Heads of the attention; they divide the channels.
        groups: Groups of channels with places of their own; they divide the heads.
        stride: Pixels from one sample to the next, where they lie by themselves.
        kernel_size: Rows and columns of the convolution that chooses; of the stride, or odd.
        reach: How far a sample moves at most, in cells of the grid; negative: all over the map.
        moved: Whether samples move; else they are means of cells.
        position: What positions weigh: "table" (of offsets, resized to any map), "fixed" (a number
            for each pixel and sample: one size of maps), "network" (of offsets, on a logarithmic
            scale), "convolution" (3x3, of the queries, added to what is seen) or "none".
        size: Rows and columns of the maps that "table" and "fixed" are made for.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w; with position="fixed" for `size` alone. An
        exported graph with free sizes takes maps whose grid has two rows and columns at least.

    Cost:
        2 c (h w)^2 / stride^2 multiply-adds; memory linear in h * w, but in compiled and exported
        graphs, which hold the biases of all pixels and samples.

    Raises:
        InputError: An option is out of range, or the map has not the size of position="fixed".
    """

    key: ClassVar[str] = "dat"
    title: ClassVar[str] = "Deformable attention (DAT)"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = (
        "DAttention",
        "DAttentionBaseline",
        "deformable attention transformer",
        "Vision Transformer with Deformable Attention",
    )
    cost_exponent: float = 2.0
    position: Any
    """A table, a network or a convolution, as `position` says; or None."""
    reference_keys: ClassVar[Mapping[str, str]] = {
        "proj_q": "query",
        "proj_k": "keys",
        "proj_v": "value",
        "proj_out": "expand",
        "conv_offset": "places",
        "rpe_table": "position",
    }

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        groups: int = 2,
        stride: int = 2,
        kernel_size: int = 5,
        reach: int | float = 2,
        moved: bool = True,
        position: str = POSITIONS[0],
        size: int | tuple[int, int] = (16, 16),
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads, groups=groups, stride=stride, kernel_size=kernel_size)
        one_of(POSITIONS, position=position)
        if heads % groups:
            raise InputError(f"groups={groups}: must divide heads={heads}; choose another number")
        if kernel_size % 2 == 0 and kernel_size != stride:
            raise InputError(
                f"kernel_size={kernel_size}: must be odd, or stride={stride}; use {kernel_size + 1}"
            )
        self.heads, self.scale = heads, head_width(channels, heads) ** -0.5
        self.weighed, self.size = position, pair(1, size=size)
        self.query, self.keys, self.value, self.expand = (
            nn.Conv2d(channels, channels, 1) for _ in range(4)
        )
        self.places = SamplingPlaces(
            channels, groups, stride=stride, kernel_size=kernel_size, reach=reach, moved=moved
        )
        self.position = self._position()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: as torch does, and small biases."""
        reset(*self.children())
        if self.weighed in ("table", "fixed"):
            nn.init.trunc_normal_(self.position, std=0.01)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Without what is there and not used: places that do not move, a bias of all samples."""
        left = ("rpe_table.2.bias",) if self.places.moved else ("rpe_table.2.bias", "conv_offset.")
        return {k: v for k, v in state_dict.items() if not k.startswith(left)}

    def check(self, *inputs: Tensor) -> None:
        """As of any layer; with position="fixed" there is one size.

        Raises:
            InputError: The input does not fit.
        """
        super().check(*inputs)
        if self.weighed == "fixed" and tuple(inputs[0].shape[2:]) != self.size:
            raise InputError(
                f"x={tuple(inputs[0].shape)}: with position='fixed' maps must have the size "
                f"{self.size} that the layer was made for; make it with size={self.size}, or with "
                "position='table'"
            )

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Sample where the queries say, and weigh the samples."""
        query = self.query(x)
        places = self.places(query)  # (b, g, i, j, 2)
        samples = self.places.read(x.to(places.dtype), places).to(x.dtype)
        q, k, v = map(self._by_head, (query, self.keys(samples), self.value(samples)))
        score = torch.einsum("bmnd,bmkd->bmnk", q, k) * self.scale
        numbers = torch.arange(q.shape[2], device=x.device)
        if self.weighed == "network":
            own = of_pixels(numbers, x.shape[2:], places)
            found = self.position(scaled(own, places.flatten(2, 3)).to(x.dtype))
            score = score + found.movedim(4, 2).flatten(1, 2)  # (b, g, n, k, m / g) before
        elif self.weighed in ("table", "fixed"):
            score = score + self._bias(x.shape[2:], numbers, places.flatten(2, 3), self.position)
        seen = torch.einsum("bmnk,bmkd->bmdn", score.softmax(dim=3), v.to(score.dtype))
        seen = seen.reshape(query.shape).to(x.dtype)
        if self.weighed == "convolution":
            seen = seen + self.position(query)
        return self.expand(seen)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weights of pixels and samples, and their biases, exist for some pixels at a time."""
        with full_precision(x):
            z = x.to(statistics_dtype(x))
            query = applied(self.query, z)
            places = self.places.lean(query)
            samples = self.places.read(z, places)
            key, value = applied(self.keys, samples), applied(self.value, samples)
            q, k, v = map(self._by_head, (query * self.scale, key, value))
            if given := self._given():
                wide = HIDDEN * self.places.groups // self.heads + 1 if len(given) > 1 else 4
                bias = functools.partial(self._bias, x.shape[2:])
                flat = places.flatten(2, 3)
                seen = biased_attention(q, k, v, bias, flat, *given, pairs=wide).mT
            else:
                q, k, v = (part.flatten(0, 1).mT for part in (q, k, v))
                seen = attention(q, k, v)
            seen = seen.reshape(x.shape)
            if self.weighed == "convolution":
                seen = seen + applied(self.position, query)
            return formatted(applied(self.expand, seen), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees the map through its samples; only this row.

        There is one for each head and, within it, each group of channels with places of its own.
        They add up to less than 1 where samples lie outside.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        index = pixel_index(x, at)
        with full_precision(x):
            z = x.to(statistics_dtype(x))
            query = applied(self.query, z)
            places = self.places.lean(query)
            key = self._by_head(applied(self.keys, self.places.read(z, places)))
            mine = self._by_head(query)[:, :, index] * self.scale
            score = torch.einsum("bmd,bmkd->bmk", mine, key)
            if given := self._given():
                number = torch.full((1,), index, device=x.device)
                score = (
                    score + self._bias(x.shape[2:], number, places.flatten(2, 3), *given)[..., 0, :]
                )
            spread = self.places.spread(score.softmax(dim=2), places, x)
            return Maps(spatial=spread.flatten(1, 2))

    def joined_heads(
        self, heads: Float[Tensor, "heads h w"], x: Float[Tensor, "b c h w"], at: tuple[int, int]
    ) -> Float[Tensor, "m h w"]:
        """One for each head: the mean over groups of channels."""
        return torch.unflatten(heads, 0, (self.heads, -1)).mean(1)

    def _position(self) -> Any:
        rows, columns = self.size
        if self.weighed == "table":
            return nn.Parameter(torch.empty(self.heads, 2 * rows - 1, 2 * columns - 1))
        if self.weighed == "fixed":
            samples = self.places.count(rows) * self.places.count(columns)
            return nn.Parameter(torch.empty(self.heads, rows * columns, samples))
        if self.weighed == "convolution":
            return nn.Conv2d(self.channels, self.channels, 3, padding=1, groups=self.channels)
        if self.weighed == "none":
            return None
        outputs = self.heads // self.places.groups
        return nn.Sequential(
            nn.Linear(2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs, bias=False)
        )

    def _given(self) -> list[Tensor]:
        """What the bias of positions depends on."""
        if self.weighed == "network":
            return list(self.position.parameters())
        return [self.position] if self.weighed in ("table", "fixed") else []

    def _bias(
        self, size: Sequence[Any], numbers: Tensor, places: Float[Tensor, "b g k 2"], *given: Tensor
    ) -> Float[Tensor, "#b m n k"]:
        """Of the pixels of these numbers."""
        if self.weighed == "fixed":
            return given[0][None, :, numbers]
        own = of_pixels(numbers, size, places)
        return (network_bias if len(given) > 1 else table_bias)(own, places, *given)

    def _by_head(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m n d"]:
        return torch.unflatten(z.flatten(2), 1, (self.heads, -1)).mT
