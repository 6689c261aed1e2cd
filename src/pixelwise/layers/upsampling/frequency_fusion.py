"""FreqFusion: blur where a coarse map is enlarged, sharpen the fine map that it is joined with.

For a coarse map x and a fine map f, R(z, w) the sums of windows of z with weights w (`reassembly`),
and N a softmax over the window, times a Hamming window, made to sum to one again:

    a = A f,  b = B x                         1x1 convolutions to the same width
    h = Eh a                                  logits of the kernels that find edges
    a' = 2 a - R(a, N(h))                     sharpened
    l = E a'                                  logits of the kernels that blur
    m = N(l + R(E b, N(l)))                   what the coarse map says of them is blurred too
    n = N(h + R(Eh b, m))
    y = R(x, m)                               the coarse map at the size of the fine one
    f' = 2 f - R(f, n)                        the fine map with its edges raised

With resample=True, y is then read at places near each pixel, see `similarity_sampling`.

Source: Chen et al., "Frequency-aware Feature Fusion for Dense Image Prediction", TPAMI 2024,
https://arxiv.org/abs/2408.12879.
Reference: github.com/Linwei-Chen/FreqFusion, FreqFusion.py (no licence file; written from the
equations and recorded numbers). Where mmcv is installed, that code sums windows with zeros beyond
the border, padding="zeros"; without mmcv it mirrors the map, padding="mirror". A checkpoint does
not tell which. Differences: that needs a fine map of exactly twice the size, and 3 x 3 pixels to
mirror; here a pixel of the fine map has its window where it lies in the coarse one, at any sizes.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.reference import translated_part
from pixelwise.layers.upsampling.base import Upsampler
from pixelwise.layers.upsampling.content_aware_reassembly import encoder, odd
from pixelwise.layers.upsampling.similarity_sampling import SimilaritySampling
from pixelwise.ops.reassembly import centres, reassembled
from pixelwise.ops.running.precision import full_precision, statistics_dtype


class FrequencyFusion(Upsampler):
    """Enlarge the coarse map with blurring kernels, and sharpen the fine one.

    Args:
        channels: Channels of the coarse map.
        guide_channels: Channels of the fine map; by default as many.
        hidden: Channels in which both are compared.
        low_kernel: Side of the window that blurs, odd.
        high_kernel: Side of the window that sharpens, odd.
        groups: Groups of channels with weights of their own.
        encoder_kernel: Side of the convolutions that predict the weights, odd.
        encoder_dilation: Their dilation.
        padding: What lies beyond the border of a map: "zeros" or "mirror".
        hamming: Whether the weights are multiplied by a Hamming window.
        guided: Whether the logits of the coarse map are enlarged by blurring; False: by repeating
            its pixels.
        summed: Whether one convolution sees the sum of both maps in place of each alone; x is then
            enlarged by repeating its pixels, before it is blurred. It takes guided=False.
        high_pass: Whether the fine map is sharpened. Needed where `guided`.
        residual: Whether its edges are added to it; False: they take its place.
        resample: Whether the enlarged map is read at places near each pixel.
        resample_groups: Groups of its channels that are read at places of their own.
        resample_norm: Whether both maps are normalised before that.

    Shape:
        (b, c, h, w), (b, g, i, j) -> (b, c, i, j), for any sizes.

    Cost:
        Per fine pixel 9 hidden (low_kernel**2 + high_kernel**2) multiply-adds, and c low_kernel**2
        + g high_kernel**2 in windows.

    Raises:
        InputError: An option is out of range, even where it must be odd, does not divide, or
            contradicts another.
    """

    key: ClassVar[str] = "freqfusion"
    title: ClassVar[str] = "FreqFusion"
    year: ClassVar[int | None] = 2024
    aliases: ClassVar[tuple[str, ...]] = ("frequency-aware feature fusion", "频率感知特征融合")
    uses_guide: ClassVar[bool] = True
    reference_keys: ClassVar[Mapping[str, str]] = {
        "hr_channel_compressor": "reduce_fine",
        "lr_channel_compressor": "reduce",
        "content_encoder": "low",
        "content_encoder2": "high",
        "hamming_lowpass": "low_window",
        "hamming_highpass": "high_window",
        "dysampler": "sampling",
    }

    def __init__(
        self,
        channels: int,
        *,
        guide_channels: int | None = None,
        hidden: int = 64,
        low_kernel: int = 5,
        high_kernel: int = 3,
        groups: int = 1,
        encoder_kernel: int = 3,
        encoder_dilation: int = 1,
        padding: str = "zeros",
        hamming: bool = True,
        guided: bool = True,
        summed: bool = False,
        high_pass: bool = True,
        residual: bool = True,
        resample: bool = False,
        resample_groups: int = 4,
        resample_norm: bool = True,
    ) -> None:
        super().__init__(channels, guide_channels=guide_channels)
        at_least(1, hidden=hidden, groups=groups, encoder_dilation=encoder_dilation)
        odd(low_kernel=low_kernel, high_kernel=high_kernel, encoder_kernel=encoder_kernel)
        one_of(("zeros", "mirror"), padding=padding)
        for width in (channels, self.guide_channels, hidden):
            if width % groups:
                raise InputError(f"groups={groups}: must divide {width} channels; lower groups")
        if guided and (summed or not high_pass):
            other = "summed=True" if summed else "high_pass=False"
            raise InputError(f"guided=True with {other}: contradict; give guided=False too")
        self.groups, self.mirror = groups, padding == "mirror"
        self.guided, self.summed, self.residual = guided, summed, residual
        self.reduce_fine = nn.Conv2d(self.guide_channels, hidden, kernel_size=1)
        self.reduce = nn.Conv2d(channels, hidden, kernel_size=1)
        low, high = (groups * side**2 for side in (low_kernel, high_kernel))
        shape = encoder_kernel, encoder_dilation
        self.low = encoder(hidden, low, *shape)
        self.high = encoder(hidden, high, *shape) if high_pass else None
        self.register_buffer("low_window", _window(low_kernel if hamming else 1))
        self.register_buffer("high_window", _window(high_kernel if hamming else 1))
        self.sampling = (
            SimilaritySampling(hidden, channels, groups=resample_groups, norm=resample_norm)
            if resample
            else None
        )
        self.reset_parameters()

    low_window: Tensor
    high_window: Tensor

    def reset_parameters(self) -> None:
        """Initialise as the authors do: kernels next to the window."""
        encoders = [part for part in (self.low, self.high) if part is not None]
        for part in encoders:
            nn.init.normal_(part.weight, std=0.001)
        for part in (self.reduce_fine, self.reduce):
            nn.init.xavier_uniform_(part.weight)
        for part in (*encoders, self.reduce_fine, self.reduce):
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        if self.sampling is not None:
            self.sampling.reset_parameters()

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Without the constant buffer that the authors' sampler has."""
        if self.sampling is None:
            return state_dict
        return translated_part(state_dict, "dysampler", self.sampling)

    def joined(
        self, x: Float[Tensor, "b c h w"], fine: Float[Tensor, "b g i j"]
    ) -> tuple[Float[Tensor, "b c i j"], Float[Tensor, "b g i j"]]:
        """The coarse map enlarged, and the fine one sharpened."""
        large, sharp, _ = self.with_weights(x, fine)
        return large, sharp

    def with_weights(
        self, x: Float[Tensor, "b c h w"], fine: Float[Tensor, "b g i j"]
    ) -> tuple[Tensor, Tensor, Float[Tensor, "b m t i j"]]:
        """Both maps, and the weights of the windows that blur."""
        a, b = self.reduce_fine(fine), self.reduce(x)
        high = None
        if self.summed:
            both = a + _repeated(b, a)
            low = self._weights(self.low(both), self.low_window)
            high = None if self.high is None else self._weights(self.high(both), self.high_window)
            large = self._sum(_repeated(x, fine), low)
        else:
            if self.guided:
                a, low, high = self._guided(a, b)
            else:
                low = self._weights(self.low(a) + _repeated(self.low(b), a), self.low_window)
                if self.high is not None:
                    logits = self.high(a) + _repeated(self.high(b), a)
                    high = self._weights(logits, self.high_window)
            large = self._sum(x, low)
        if high is not None:
            edges = fine - self._sum(fine, high)
            fine = fine + edges if self.residual else edges
        if self.sampling is not None:
            large = self.sampling(a, b, large)
        return large, fine, low

    def _guided(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The sharpened fine map, the weights that blur, and those that sharpen."""
        assert self.high is not None
        first = self.high(a)
        a = 2 * a - self._sum(a, self._weights(first, self.high_window))
        own = self.low(a)
        from_coarse = self._sum(self.low(b), self._weights(own, self.low_window))
        low = self._weights(own + from_coarse, self.low_window)
        high = self._weights(first + self._sum(self.high(b), low), self.high_window)
        return a, low, high

    def _sum(self, z: Tensor, weights: Tensor) -> Tensor:
        return reassembled(z, weights, mirror=self.mirror)

    def _weights(self, logits: Tensor, window: Tensor) -> Float[Tensor, "b m t i j"]:
        """A softmax over each window, times a fixed one, summing to one."""
        with full_precision(logits):
            kind = statistics_dtype(logits)
            weights = torch.unflatten(logits.to(kind), 1, (self.groups, -1)).softmax(dim=2)
            weights = weights * window.to(kind).flatten()[:, None, None]
            return weights / weights.sum(dim=2, keepdim=True)


def _window(side: int) -> Float[Tensor, "1 1 k k"]:
    line = torch.hamming_window(side, periodic=False)
    return (line[:, None] * line)[None, None]


def _repeated(z: Float[Tensor, "b o h w"], like: Float[Tensor, "b _ i j"]) -> Tensor:
    rows, columns = centres(z, like.shape[2:])
    return z.index_select(2, rows).index_select(3, columns)
