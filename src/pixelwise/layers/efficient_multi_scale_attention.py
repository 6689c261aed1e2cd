"""Efficient multi-scale attention: groups of channels, gated by rows, columns and a convolution.

For each group of c channels of a map, z in R^(c x h x w), with weights that all groups share,

    r_i = sigmoid(W1 mean_j z_ij + b1)                  what is in row i
    t_j = sigmoid(W1 mean_i z_ij + b1)                  what is in column j
    f = norm(z_ij * r_i * t_j)                          each channel normalised over its pixels
    g = W3 * z + b3                                     a 3x3 convolution
    u = softmax_c(mean_ij(f)),  v = softmax_c(mean_ij(g))    how much each channel weighs
    e_ij = u . g_ij + v . f_ij                          each branch weighs the other
    y_ij = z_ij sigmoid(e_ij)                           one gate for all channels of the group

The mean of f is the norm's bias, whatever the picture.

Source: Ouyang et al., "Efficient Multi-Scale Attention Module with Cross-Spatial Learning", ICASSP
2023, https://arxiv.org/abs/2305.13563.
Reference: github.com/YOLOonMe/EMA-attention-module, EMA_attention_module (no licence file), class
EMA, compared by recorded numbers alone. Differences: `factor`, the number of groups, is called
`groups`; their `c2` is without effect and left out; a single pixel of one image works.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.parts import GroupNorm
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.axis_gate import axis_gate
from pixelwise.ops.axis_means import axis_means
from pixelwise.ops.factor_gate import factor_gate
from pixelwise.ops.running.precision import full_precision, statistics_dtype

GROUPS = 32


class EfficientMultiScaleAttention(AttentionLayer):
    """Gate every pixel of a group of channels by its row, its column and its neighbours.

    Args:
        channels: Channels of the input and of the output.
        groups: Groups of channels, each with one gate per pixel; must divide `channels`. None is
            the authors' 32, or where that does not divide, the largest power of two that does.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        11 multiply-adds per value; memory linear in h * w.

    Raises:
        InputError: `groups` does not divide the channels.

    Not the `ema` of EMANet, which has the same short name.
    """

    key: ClassVar[str] = "emsa"
    title: ClassVar[str] = "Efficient multi-scale attention"
    year: ClassVar[int] = 2023
    aliases: ClassVar[tuple[str, ...]] = ("EMA_attention_module",)
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", "group")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv1x1": "mix",
        "conv3x3": "local",
        "gn": "norm",
    }

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__(channels)
        groups = math.gcd(channels, GROUPS) if groups is None else groups
        at_least(1, groups=groups)
        if channels % groups:
            raise InputError(
                f"groups={groups}: must divide channels={channels}; give a divisor, or choose "
                f"channels that are a multiple of {groups}"
            )
        self.groups, width = groups, channels // groups
        self.mix = nn.Conv1d(width, width, kernel_size=1)
        self.norm = GroupNorm(width, width)  # each channel by itself
        self.local = nn.Conv2d(width, width, kernel_size=3, padding=1)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate each group by what its two branches say of each pixel, one weighed by the other."""
        z, height = self._grouped(x), x.shape[2]
        gates = self.mix(torch.cat([z.mean(dim=3), z.mean(dim=2)], dim=2)).sigmoid()
        rows, columns = gates[:, :, :height, None], gates[:, :, None, height:]
        wide, near = self.norm(z * rows * columns), self.local(z)
        of_wide, of_near = (f.mean(dim=(2, 3)).softmax(dim=1) for f in (wide, near))
        logits = torch.einsum("bc,bchw->bhw", of_wide, near)
        logits = logits + torch.einsum("bc,bchw->bhw", of_near, wide)
        return (z * logits[:, None].sigmoid()).reshape(x.shape)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Neither branch is written: the convolution has one output, the norm is a weighted sum."""
        if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
            # Inductor of torch 2.15 makes a wrong gradient of x from what follows.
            return formatted(self.plain(x), x)
        z, gate = self._gate(self._grouped(x))
        return formatted(factor_gate(z.flatten(2), gate).view(x.shape), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a group."""
        _, gate = self._gate(self._grouped(x))
        return Maps(spatial=gate.reshape(x.shape[0], self.groups, *x.shape[2:]))

    def _grouped(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "bg k h w"]:
        batch, channels, height, width = x.shape
        return x.reshape(batch * self.groups, channels // self.groups, height, width)

    def _gate(
        self, z: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 n"]]:
        """The map to go on with, and the gates."""
        kind = statistics_dtype(z)
        z, *means = axis_means(z)
        gates = self.mix(torch.cat(means, dim=2)).sigmoid().to(z.dtype)
        gated = axis_gate(z, *torch.split(gates, [z.shape[2], z.shape[3]], dim=2))
        with full_precision(z):
            flat = gated.flatten(2).to(kind)
            scale, shift = self.norm.weight.to(kind), self.norm.bias.to(kind)
            assert self.local.bias is not None
            weight, bias = self.local.weight.to(kind), self.local.bias.to(kind)
            near = torch.einsum("ocij,bcij->bo", weight, _taps(z, *means)) + bias
            of_near, of_wide = near.softmax(dim=1), shift.softmax(dim=0)
            mean = flat.mean(dim=2)
            variance = (flat - mean[:, :, None]).square().mean(dim=2)
            scale = of_near * scale * (variance + self.norm.eps).rsqrt()
            level = (of_near * shift - scale * mean).sum(dim=1) + of_wide @ bias
            kernel = torch.einsum("o,ocij->cij", of_wide, weight)[None].to(z.dtype)
            logits = F.conv2d(z, kernel, padding=1).flatten(2).to(kind)
            logits = logits + torch.einsum("bc,bcn->bn", scale, flat)[:, None]
            return z, (logits + level[:, None, None]).sigmoid()


def _taps(
    z: Float[Tensor, "b c h w"], rows: Float[Tensor, "b c h"], columns: Float[Tensor, "b c w"]
) -> Float[Tensor, "b c 3 3"]:
    """What each tap of a padded 3x3 convolution sees on average: all but a row and a column."""
    height, width, kind = *z.shape[2:], statistics_dtype(z)
    rows, columns = rows.to(kind) / height, columns.to(kind) / width
    corners = z[:, :, [-1, 0]][:, :, :, [-1, 0]].to(kind) / (height * width)
    total = rows.sum(dim=2)[:, :, None, None]
    row = _apart(rows[:, :, [-1, 0], None], 2)
    column = _apart(columns[:, :, None, [-1, 0]], 3)
    return total - row - column + _apart(_apart(corners, 2), 3)


def _apart(ends: Float[Tensor, "b c _ _"], axis: int) -> Float[Tensor, "b c _ _"]:
    """The last and the first of an axis, zeros between: what the taps -1, 0 and 1 do not see."""
    last, first = torch.split(ends, 1, dim=axis)
    return torch.cat([last, torch.zeros_like(last), first], dim=axis)
