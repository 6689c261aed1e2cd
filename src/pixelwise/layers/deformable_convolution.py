"""Deformable convolution: every pixel chooses where each tap of the kernel reads.

For an output pixel p with taps k at places p_k of a regular grid,

    o_pk = (Wo * x)_pk             how far the tap moves          (two numbers, in pixels)
    m_pk = sigmoid((Wm * x)_pk)    how much it counts             (version 2; 1 in version 1)
    y_p = b + sum_k m_pk W_k x(p_k + o_pk)      x(r): bilinear between pixels, zero outside

Source: Dai et al., "Deformable Convolutional Networks", ICCV 2017,
https://arxiv.org/abs/1703.06211; Zhu et al., "Deformable ConvNets v2", CVPR 2019,
https://arxiv.org/abs/1811.11168.
Reference: github.com/open-mmlab/mmcv, mmcv/ops/modulated_deform_conv.py (Apache-2.0),
ModulatedDeformConv2dPack, and deform_conv.py, DeformConv2dPack; the operator is torchvision's
(BSD-3-Clause). Difference: offsets come in the order in which the operator reads them in all.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from pixelwise.checks import at_least, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps, pixel_place
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.deformable import Pair, deformable_convolution, operator, read_at, tap_reads
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class DeformableConvolution(AttentionLayer):
    """Convolve where learned offsets point.

    Args:
        channels: Channels c of the input.
        out_channels: Channels of the output, by default `channels`.
        kernel_size: Rows and columns of the kernel, one number for both or a pair.
        stride: Pixels of the input from one pixel of the output to the next.
        padding: Rows and columns of zeros around the input; by default what keeps the size of a
            map under an odd kernel.
        dilation: Pixels from one tap to the next.
        groups: Groups of channels that are convolved apart.
        offset_groups: Groups of channels with offsets of their own.
        modulation: Whether taps have factors (version 2) or not (version 1).
        bias: Whether a bias is added.

    Shape:
        (b, c, h, w) -> (b, out_channels, i, j), the sizes of a convolution.

    Cost:
        k c o / groups + 3 k^2 c offset_groups multiply-adds per pixel for k taps and o channels
        of the output, and 4 k c reads at scattered places; memory k c per pixel.

    Raises:
        InputError: An option is out of range.

    At initialisation the offsets are zero: a convolution, halved by the factors in version 2.
    """

    key: ClassVar[str] = "deform"
    title: ClassVar[str] = "Deformable convolution"
    year: ClassVar[int] = 2017
    aliases: ClassVar[tuple[str, ...]] = (
        "DCN",
        "DCNv1",
        "DCNv2",
        "DeformConv",
        "DeformConv2d",
        "deformable conv",
        "deformable convolution v2",
        "ModulatedDeformConv",
        "ModulatedDeformConv2d",
        "ModulatedDeformConv2dPack",
        "DeformConv2dPack",
        "modulated deformable convolution",
        "torchvision_dcn2d",
        "DCNv2 pack",
    )
    cost_exponent: float = 1.0
    authors_forms: ClassVar[Mapping[str, str]] = {"layer": "lean", "deformable": "operator"}
    map_heads: Heads = Heads("mean", "group")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "weight": "weight",
        "bias": "bias",
        "conv_offset": "offset",
        # A convolution beside torchvision's, as articles pair them; `modulation=False`.
        "offset": "offset",
        "torchvision_offset": "offset",
        "torchvision_dcn2d.weight": "weight",
        "torchvision_dcn2d.bias": "bias",
    }

    def __init__(
        self,
        channels: int,
        *,
        out_channels: int | None = None,
        kernel_size: int | Pair = 3,
        stride: int | Pair = 1,
        padding: int | Pair | None = None,
        dilation: int | Pair = 1,
        groups: int = 1,
        offset_groups: int = 1,
        modulation: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(channels)
        outputs = channels if out_channels is None else out_channels
        at_least(1, channels=channels, out_channels=outputs)
        at_least(1, groups=groups, offset_groups=offset_groups)
        for name, count in (("groups", groups), ("offset_groups", offset_groups)):
            divided = (channels, outputs) if name == "groups" else (channels,)
            if any(width % count for width in divided):
                raise InputError(
                    f"{name}={count}: must divide the channels, {channels} in and {outputs} out; "
                    f"choose another {name}"
                )
        kernel = pair(1, kernel_size=kernel_size)
        self.stride, self.dilation = pair(1, stride=stride), pair(1, dilation=dilation)
        same = self.dilation[0] * (kernel[0] // 2), self.dilation[1] * (kernel[1] // 2)
        self.padding = same if padding is None else pair(0, padding=padding)
        self.offset_groups, self.modulation = offset_groups, modulation
        kept = all(
            s == 1 and 2 * p == d * (k - 1)
            for s, p, d, k in zip(self.stride, self.padding, self.dilation, kernel, strict=True)
        )
        self.keeps_shape = kept and outputs == channels
        self.weight = nn.Parameter(torch.empty(outputs, channels // groups, *kernel))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        each = (3 if modulation else 2) * math.prod(kernel)
        self.offset = nn.Conv2d(
            channels, each * offset_groups, kernel, self.stride, self.padding, self.dilation
        )
        operator()  # loads it now, not in the middle of a first step
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as mmcv does: uniform weights, and offsets that start at zero."""
        bound = 1 / math.sqrt(self.offset.in_channels * math.prod(self.weight.shape[2:]))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """With the layer's own keys, where mmcv's old ones are `<name>.*` and `<name>_offset.*`."""
        if "weight" in state_dict:
            return state_dict
        suffix = "_offset.weight"
        names = [key.removesuffix(suffix) for key in state_dict if key.endswith(suffix)]
        found = dict(state_dict)
        for name in names[:1]:
            for key in state_dict:
                for theirs, ours in ((f"{name}_offset.", "conv_offset."), (f"{name}.", "")):
                    if key.startswith(theirs):
                        found[ours + key.removeprefix(theirs)] = found.pop(key)
                        break
        return found

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Read the map where each tap points, weigh what is read, and multiply by the kernel."""
        offset, factor = self._split(self.offset(x).to(statistics_dtype(x)))
        (b, _, height, width), sharing = offset.shape, self.offset_groups
        per_group, *taps = self.weight.shape[1:]
        down, right = offset.view(b, sharing, *taps, 2, height, width).unbind(4)
        rows = down + self._places(0, offset)[:, None, :, None]  # (b, g, k, l, i, j)
        columns = right + self._places(1, offset)[:, None]
        seen = _between(x.reshape(b, sharing, -1, *x.shape[2:]), rows, columns)
        if factor is not None:
            seen = seen * factor.view(b, sharing, 1, *taps, height, width)
        seen = seen.reshape(b, -1, per_group, *taps, height, width)  # (b, groups, e, k, l, i, j)
        weight = self.weight.view(seen.shape[1], -1, per_group, *taps).to(seen.dtype)
        y = torch.einsum("goekl,bgeklij->bgoij", weight, seen).flatten(1, 2)
        return y if self.bias is None else y + self.bias[:, None, None]

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Tap by tap: what all taps read is never written."""
        with full_precision(x):
            offset, factor = self._split(self._offsets(x, self.padding))
            y = deformable_convolution(
                x,
                offset,
                self.weight,
                self.bias,
                factor,
                stride=self.stride,
                padding=self.padding,
                dilation=self.dilation,
            )
            return formatted(y, x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which each tap of the output pixel `at` reads the input.

        Heads are taps, row by row, for the first group of channels with offsets of its own, then
        for the next.

        Raises:
            InputError: `at` is missing or outside of the output.
        """
        kernel = self.weight.shape[2:]
        size = [
            (x.shape[2 + i] + 2 * self.padding[i] - self.dilation[i] * (kernel[i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in (0, 1)
        ]
        corner = pixel_place(x[:1, :1, :1, :1].expand(1, 1, *size), at)
        with full_precision(x):
            axes = zip(kernel, corner, self.stride, self.padding, self.dilation, strict=True)
            places = [
                torch.arange(taps, device=x.device) * apart + first * step - before
                for taps, first, step, before, apart in axes
            ]
            patch = read_at(x, places[0], places[1])
            offset, factor = self._split(self._offsets(patch, (0, 0), dense=True)[..., 0, 0])
            shift = offset.view(x.shape[0], self.offset_groups, *kernel, 2)
            rows, columns = tap_reads(shift, places[0], places[1], (x.shape[2], x.shape[3]))
            if factor is not None:
                rows = rows * factor[..., None]
            return Maps(spatial=rows[..., None] * columns[:, :, None])

    def _places(self, axis: int, offset: Tensor) -> Int[Tensor, "taps places"]:
        """Rows (axis 0) or columns (axis 1) that the taps read before they move."""
        tap = torch.arange(self.weight.shape[2 + axis], device=offset.device)
        start = torch.arange(offset.shape[2 + axis], device=offset.device) * self.stride[axis]
        return start - self.padding[axis] + (tap * self.dilation[axis])[:, None]

    def _offsets(
        self, x: Float[Tensor, "b c h w"], padding: Pair, dense: bool = False
    ) -> Float[Tensor, "b k i j"]:
        """Offsets and factors in full precision, since they are places in the map."""
        kind, layer = statistics_dtype(x), self.offset
        weight, bias = (parameter.to(kind) for parameter in layer.parameters())
        if dense:
            return F.conv2d(x.to(kind), weight, bias)
        return F.conv2d(x.to(kind), weight, bias, self.stride, padding, self.dilation)

    def joined_heads(
        self, heads: Float[Tensor, "heads h w"], x: Float[Tensor, "b c h w"], at: tuple[int, int]
    ) -> Float[Tensor, "g h w"]:
        """One for each group of channels: all its taps."""
        return torch.unflatten(heads, 0, (self.offset_groups, -1)).sum(1)

    def _split(self, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.modulation:
            return offsets, None
        taps = offsets.shape[1] // 3
        return offsets[:, : 2 * taps], offsets[:, 2 * taps :].sigmoid()


def _between(
    x: Float[Tensor, "b g e h w"],
    rows: Float[Tensor, "b g k l i j"],
    columns: Float[Tensor, "b g k l i j"],
) -> Float[Tensor, "b g e k l i j"]:
    """The map at places between its pixels: bilinear, and zero outside."""
    height, width = x.shape[3:]
    above, left, read = rows.detach().floor(), columns.detach().floor(), []
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):  # the four pixels around each place
        row, column = above + down, left + right
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        index = index.long().flatten(2)[:, :, None].expand(-1, -1, x.shape[2], -1)
        value = torch.unflatten(x.flatten(3).gather(3, index), 3, rows.shape[2:])
        share = (rows - above if down else above + 1 - rows) * (
            columns - left if right else left + 1 - columns
        )
        read.append(value * (share * inside)[:, :, None])
    return torch.stack(read).sum(dim=0)
