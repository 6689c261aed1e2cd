"""ACmix: attention in a window, and a convolution made of the same projections.

For pixels x_j in R^c, heads m of width d, and the k x k window W(i) around pixel i,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    A_ij = softmax_{j in W(i)}(q_i . (k_j - Wp l_j) / sqrt(d))   l_j: place of j, in [-1, 1]^2
    a_i = sum_j A_ij v_j                             what pixel i sees, head by head
    t_gi = F [q_gi, k_gi, v_gi]                      nine taps of all heads, for each g of d
    f_i = sum_t S_t t_(i + t)                        ... each moved by one pixel, and summed
    y_i = r1 a_i + r2 f_i

The window is mirrored at the border, the convolution sees zeros there. Channel m d + g of a is
added to channel g heads + m of f, as the authors do.

Source: Pan et al., "On the Integration of Self-Attention and Convolution", CVPR 2022,
https://arxiv.org/abs/2111.14556.
Reference: github.com/LeapLabTHU/ACmix, ResNet/test_bottleneck.py (no licence; written from the
equations). Differences: the authors add Wp l_i + bp to every key of a window, which a softmax
ignores, so bp is a buffer that nothing reads; F and S are one grouped convolution; windows are
not copied; with stride 2 the map may have odd sizes. Their code runs with 3x3 convolutions of
dilation 1 only, and so does this.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Limits, Maps, pixel_index
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.layers.shared.shared_projections import ConvolutionPath, head_width, project
from pixelwise.ops.local_attention import local_attention, mirrored
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class ConvolutionSelfAttentionMix(AttentionLayer):
    """Add attention in a window to a convolution of its queries, keys and values.

    Args:
        channels: Channels of the input.
        kernel_size: Rows and columns of the window, odd.
        heads: Heads of the attention; they divide the channels of the output.
        stride: Pixels of the input from one pixel of the output to the next.
        out_channels: Channels of the output, by default `channels`.

    Shape:
        (b, c, h, w) -> (b, out_channels, ceil(h / stride), ceil(w / stride)), for h and w of at
        least `kernel_size // 2 + 1`: a map must reach as far as its mirror image.

    Cost:
        3 c o + (2 kernel_size^2 + 27 heads) o multiply-adds per pixel for o channels of the
        output; attention is computed in tiles, which costs up to four times its share here, and
        keeps neither windows nor weights.

    Raises:
        InputError: An option is out of range, or the map is too small.
    """

    key: ClassVar[str] = "acmix"
    title: ClassVar[str] = "Mixed self-attention and convolution (ACmix)"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = ("ACmix_ResNet", "Self-attention and convolution mix")
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        "rate1": "attention_rate",
        "rate2": "convolution_rate",
        "conv1": "query",
        "conv2": "keys",
        "conv3": "value",
        "conv_p.weight": "position.weight",
        "conv_p.bias": "position_bias",
        "fc": "convolution.taps",
        "dep_conv": "convolution.shift",
    }

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 7,
        heads: int = 4,
        stride: int = 1,
        out_channels: int | None = None,
    ) -> None:
        super().__init__(channels)
        outputs = channels if out_channels is None else out_channels
        at_least(1, channels=channels, kernel_size=kernel_size, heads=heads, stride=stride)
        at_least(1, out_channels=outputs)
        if kernel_size % 2 == 0:
            raise InputError(
                f"kernel_size={kernel_size}: must be odd, a window has a middle; "
                f"use {kernel_size - 1} or {kernel_size + 1}"
            )
        width = head_width(outputs, heads)
        self.kernel_size, self.heads, self.stride = kernel_size, heads, stride
        self.keeps_shape = stride == 1 and outputs == channels
        self.limits = Limits(least=kernel_size // 2 + 1)
        self.query = nn.Linear(channels, outputs)
        self.keys = nn.Linear(channels, outputs)
        self.value = nn.Linear(channels, outputs)
        self.position = nn.Linear(2, width, bias=False)
        self.register_buffer("position_bias", torch.zeros(width))
        self.convolution = ConvolutionPath(heads, width, stride=stride)
        self.attention_rate = nn.Parameter(torch.empty(1))
        self.convolution_rate = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: taps that only shift, both paths by half."""
        for module in (self.query, self.keys, self.value, self.position, self.convolution):
            module.reset_parameters()
        nn.init.constant_(self.attention_rate, 0.5)
        nn.init.constant_(self.convolution_rate, 0.5)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Add what every pixel sees in its window to a convolution of the projections."""
        pixels, (height, width), step = x.permute(0, 2, 3, 1), x.shape[2:], self.stride
        query, key, value = (
            torch.unflatten(part(pixels), 3, (self.heads, -1)).permute(0, 3, 4, 1, 2)
            for part in (self.query, self.keys, self.value)
        )  # (b, m, d, h, w)
        lines = torch.meshgrid(_evenly(height, x), _evenly(width, x), indexing="ij")
        place = torch.stack(lines[::-1], dim=2)  # (h, w, 2): the column, then the row
        position = self.position(place).permute(2, 0, 1)  # (d, h, w)
        keys, values = (_windows(z, self.kernel_size, step) for z in (key - position, value))
        query_at, depth = query[..., ::step, ::step], query.shape[2]
        score = torch.einsum("bmdij,bmdijk->bmijk", query_at, keys) / depth**0.5
        weights = score.softmax(dim=4)  # over the window
        seen = torch.einsum("bmijk,bmdijk->bmdij", weights, values).flatten(1, 2)
        mixed = self.convolution(query, key, value)
        return self.attention_rate * seen + self.convolution_rate * mixed

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """One product for all projections, one convolution for taps and shifts; no windows."""
        parts = [(part.weight, part.bias) for part in (self.query, self.keys, self.value)]
        weight, bias = (torch.stack(both) for both in zip(*parts, strict=True))
        mixed, (query, key, value) = project(x, weight, bias, self.heads)
        with full_precision(x):
            query = query[..., :: self.stride, :: self.stride]
            key = key - self._position(x).to(key.dtype)
            seen = local_attention(query, key, value, self.kernel_size, self.stride).flatten(1, 2)
            y = self.convolution.lean(mixed, self.convolution_rate)
            y = torch.addcmul(y, self.attention_rate.to(y.dtype), seen)
            return formatted(y, x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the output pixel `at` sees the input; only its window is computed.

        A pixel that is in the window twice, once mirrored, has the sum of both weights.

        Raises:
            InputError: `at` is missing or outside of the output.
        """
        height, width = x.shape[2:]
        columns = (width + self.stride - 1) // self.stride
        index = pixel_index(x[:, :, :: self.stride, :: self.stride], at)
        row, column = index // columns * self.stride, index % columns * self.stride
        with full_precision(x):
            own, kind = self.query.weight.dtype, statistics_dtype(x)
            around = torch.arange(self.kernel_size, device=x.device) - self.kernel_size // 2
            rows, beside = mirrored(around + row, height), mirrored(around + column, width)
            places = (rows[:, None] * width + beside).flatten()
            window = x.flatten(2).index_select(2, places)
            keys = torch.unflatten(self.keys(window.mT.to(own)).to(kind).mT, 1, (self.heads, -1))
            keys = keys - self._position(x).to(kind).flatten(1)[:, places]
            query = self.query(x[:, :, row, column].to(own)).to(kind)
            query = torch.unflatten(query, 1, (self.heads, -1))
            score = torch.einsum("bmd,bmdk->bmk", query, keys) * query.shape[2] ** -0.5
            weights = score.new_zeros(x.shape[0], self.heads, height * width)
            weights = weights.index_add(2, places, score.softmax(dim=-1))
            return Maps(spatial=weights.view(*weights.shape[:2], height, width))

    def _position(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "d h w"]:
        height, width = x.shape[2:]
        weight = self.position.weight.to(statistics_dtype(x))
        columns, rows = (_evenly(size, weight) for size in (width, height))
        across = weight[:, 0, None] * columns
        return across[:, None] + (weight[:, 1, None] * rows)[:, :, None]


def _windows(z: Float[Tensor, "b m d h w"], size: int, step: int) -> Float[Tensor, "b m d i j k"]:
    """The k = size * size pixels around every pixel, mirrored at the border."""
    height, width = z.shape[3:]
    padded = F.pad(z.flatten(1, 2), (size // 2,) * 4, mode="reflect")
    moved = [
        padded[:, :, row : row + height : step, column : column + width : step]
        for row in range(size)
        for column in range(size)
    ]
    return torch.unflatten(torch.stack(moved, dim=4), 1, z.shape[1:3])


def _evenly(count: Any, like: Tensor) -> Tensor:
    """From -1 to 1; torch.linspace fixes the count in a traced graph."""
    place = torch.arange(count, device=like.device).to(like.dtype)
    return 2 * place / place[-1:].clamp(min=1) - 1
