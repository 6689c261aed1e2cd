"""ACmix in Swin's windows: attention inside of tiles of the map, and a convolution of the same.

For pixels x_j in R^c, heads of width d, and the window W(i) of a regular grid in which i lies,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    A_ij = softmax_{j in W(i)}(q_i . k_j / sqrt(d) + B_(i - j))   B: one number per offset, by head
    a_i = Wa sum_j A_ij v_j + ba                     what pixel i sees, all heads
    t_gi = F [q_gi, k_gi, v_gi] + bf                 nine taps of all heads, for each g of d
    f_i = sum_t S_t t_(i + t)                        ... each moved by one pixel, and summed
    y_i = r1 a_i + r2 f_i

With a shift s the map is first rolled up and left by s, and rolled back at the end; pixels that
meet in a window only by rolling have -100 added to their score. The convolution runs on the rolled
map too, as the authors' does. A map that windows do not tile is padded below and to the right with
zeros, which take part as Swin's do.

Source: Pan et al., "On the Integration of Self-Attention and Convolution", CVPR 2022,
https://arxiv.org/abs/2111.14556.
Reference: github.com/LeapLabTHU/ACmix, Swin-Transformer/models/swin_transformer_acmix.py,
WindowAttention_acmix (no licence; written from the equations). Differences: channels come first;
the layer rolls the map and makes the mask, which the authors' block does; F and S are one grouped
convolution; the table of offsets is indexed anew, not loaded.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import above_zero, at_least, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, pixel_place
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.layers.shared.shared_projections import ConvolutionPath, head_width, project
from pixelwise.ops.cells import parted
from pixelwise.ops.local_attention import by_place
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.shifted_windows import ShiftedWindows


class ConvolutionWindowMix(AttentionLayer):
    """Add attention inside of windows to a convolution of its queries, keys and values.

    Args:
        channels: Channels c of the input and of the output.
        window_size: Rows and columns of a window, one number for both or a pair.
        heads: Heads of the attention; they divide the channels.
        shift: Rows and columns by which the windows are shifted, less than a window.
        bias: Whether queries, keys and values have a bias.
        scale: What q . k is multiplied with, by default 1 / sqrt(c / heads).

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        4 c^2 + (2 window + 27 heads) c multiply-adds per pixel, for windows of so many pixels;
        weights of heads * window per pixel are kept for backward.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "acmix_window"
    title: ClassVar[str] = "Mixed window attention and convolution (ACmix)"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = ("WindowAttention_acmix", "Swin ACmix", "ACmix_Swin")
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        "rate1": "attention_rate",
        "rate2": "convolution_rate",
        "qkv": "project",
        "proj": "expand",
        "relative_position_bias_table": "position",
        "fc": "convolution.taps",
        "dep_conv": "convolution.shift",
    }

    offsets: Tensor

    def __init__(
        self,
        channels: int,
        *,
        window_size: int | tuple[int, int] = 7,
        heads: int = 4,
        shift: int = 0,
        bias: bool = True,
        scale: float | None = None,
    ) -> None:
        super().__init__(channels)
        at_least(1, channels=channels, heads=heads)
        window = pair(1, window_size=window_size)
        at_least(0, shift=shift)
        if shift >= min(window):
            raise InputError(
                f"shift={shift}: must be less than window_size={window_size}; "
                "half a window is usual"
            )
        width = head_width(channels, heads)
        self.windows, self.heads = ShiftedWindows(window, shift), heads
        above_zero(scale=scale)
        self.scale = width**-0.5 if scale is None else scale
        self.project = nn.Linear(channels, 3 * channels, bias=bias)
        self.expand = nn.Linear(channels, channels)
        self.position = nn.Parameter(torch.empty((2 * window[0] - 1) * (2 * window[1] - 1), heads))
        self.convolution = ConvolutionPath(heads, width, bias=True)
        self.attention_rate = nn.Parameter(torch.empty(1))
        self.convolution_rate = nn.Parameter(torch.empty(1))
        self.register_buffer("offsets", self.windows.offsets(), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: taps that only shift, small offsets, both by half."""
        for module in (self.project, self.expand, self.convolution):
            module.reset_parameters()
        nn.init.trunc_normal_(self.position, std=0.02)
        nn.init.constant_(self.attention_rate, 0.5)
        nn.init.constant_(self.convolution_rate, 0.5)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Without the table's index, which follows from the size of the window."""
        return {k: v for k, v in state_dict.items() if k != "relative_position_index"}

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what every pixel sees in its window to a convolution of the projections."""
        rolled = self.windows.rolled(x)  # padded to whole windows, and shifted
        projected = self.project(rolled.permute(0, 2, 3, 1))
        parts = torch.unflatten(projected, 3, (3, self.heads, -1))
        parts = parts.permute(3, 0, 4, 5, 1, 2)  # (3, b, m, d, h, w)
        query, key, value = (self.windows.split(part) for part in parts)  # (b, n, m, t, d)
        score = torch.einsum("bnmid,bnmjd->bnmij", query, key) * self.scale  # in each window n
        score = score + self.position[self.offsets].permute(2, 0, 1)
        if self.windows.shift:  # pixels that meet only by rolling
            score = score + self.windows.apart(x)[:, None].to(score.dtype)
        seen = torch.einsum("bnmij,bnmjd->bnmid", score.softmax(dim=4), value)
        seen = self.windows.join(seen, rolled).view_as(rolled)  # (b, c, h, w)
        seen = self.expand(seen.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        y = self.attention_rate * seen + self.convolution_rate * self.convolution(*parts)
        return self.windows.unrolled(y, x)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One product for all projections; taps and shifts are one convolution."""
        rolled = self.windows.rolled(x)
        weight = self.project.weight.view(3, *self.expand.weight.shape)
        bias = None if self.project.bias is None else self.project.bias.view(3, -1)
        mixed, parts = project(rolled, weight, bias, self.heads)
        with full_precision(x):
            kind = statistics_dtype(x)
            if torch.compiler.is_exporting():
                seen = self._by_place(x, *parts).to(kind).flatten(3).flatten(1, 2)
            else:
                query, key, value = (self.windows.split(part.to(kind)) for part in parts)
                score = torch.matmul(query * self.scale, key.mT) + self._bias(kind)
                if self.windows.shift:
                    score = score + self.windows.apart(x)[:, None].to(kind)
                seen = self.windows.join(torch.matmul(score.softmax(dim=-1), value), rolled)
            rate = self.attention_rate.to(kind)
            expand, start = self.expand.weight.to(kind) * rate, self.expand.bias.to(kind) * rate
            seen = torch.baddbmm(start[:, None], expand.expand(x.shape[0], -1, -1), seen)
            y = self.convolution.lean(mixed, self.convolution_rate)
            y = self.windows.unrolled(y + seen.view(y.shape).to(y.dtype), x)
            return formatted(y, x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees the map; only its window is computed.

        They add up to less than 1 where the window reaches into the padding.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        place = pixel_place(x, at)
        with full_precision(x):
            kind, own, tokens = statistics_dtype(x), self.project.weight.dtype, x
            axes, inside, window, token = [], [], 0, 0
            for i, (count, side) in enumerate(
                zip(self.windows.count(x), self.windows.size, strict=True)
            ):
                moved = (place[i] - self.windows.shift) % (count * side)
                number, offset = moved // side, moved % side  # divmod cannot be traced
                window, token = window * count + number, token * side + offset
                rolled = torch.arange(side, device=x.device) + number * side
                position = parted(rolled + self.windows.shift, count * side)[1]
                inside.append(position < x.shape[2 + i])
                axes.append(position.clamp(max=x.shape[2 + i] - 1))
                tokens = tokens.index_select(2 + i, axes[i])
            real = (inside[0][:, None] & inside[1]).flatten()
            tokens = (tokens.flatten(2) * real.to(x.dtype)).mT.to(own)
            projected = self.project(tokens).to(kind).view(*tokens.shape[:2], 3, self.heads, -1)
            query, key = projected[:, token, 0] * self.scale, projected[:, :, 1]
            score = torch.einsum("bmd,btmd->bmt", query, key) + self._bias(kind)[:, token]
            if self.windows.shift:
                score = score + self.windows.apart(x)[window, token].to(kind)
            weights = score.softmax(dim=-1) * real.to(kind)
            spread = weights.new_zeros(*weights.shape[:2], x.shape[2] * x.shape[3])
            places = (axes[0][:, None] * x.shape[3] + axes[1]).flatten()
            spread = spread.index_add(2, places, weights)
            return Maps(spatial=spread.view(*weights.shape[:2], *x.shape[2:]))

    def _by_place(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention where no number of windows may be fixed; see `by_place`."""
        token, rows, columns = self.windows.places(x)
        bias = self._bias(statistics_dtype(x))[:, token].permute(0, 3, 1, 2)
        if self.windows.shift:
            bias = bias + self.windows.apart_by_place(x).to(bias.dtype)
        return by_place(query, key, value, rows, columns, self.scale, bias)

    def _bias(self, kind: torch.dtype) -> Float[Tensor, "m t t"]:
        return self.position.to(kind)[self.offsets].permute(2, 0, 1)
