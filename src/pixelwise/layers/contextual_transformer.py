"""Contextual transformer: a convolution of the keys decides how a pixel mixes its neighbours.

For a map x in R^(c x h x w), the k x k window W(n) around pixel n, and weights that channels share,

    K = relu(norm(F * x))                             keys: what is around a pixel     (in groups)
    A = gnorm(W2 relu(norm(W1 [x, K])) + b2)          k^2 weights for each of c / 8 sets
    v = norm(Wv x)                                    values
    o_cn = sum_{t in W(n)} A_ctn v_ct                 channel c takes set c mod (c / 8); 0 outside
    z = silu(norm(o))                                 what the content decides
    r_c = softmax_c(W4 relu(norm(W3 mean_n(z_n + K_n) + b3)) + b4)     shares of both, per channel
    y_cn = r_c0 z_cn + r_c1 K_cn

The weights have no softmax; `gnorm` normalises those of one set over the window and all pixels.
Variant "coxt" cuts W1, W2 and Wv into two groups, F into 8 where "cot" has 4, and gives each half
of the channels half of the sets.

Source: Li et al., "Contextual Transformer Networks for Visual Recognition", TPAMI 2022,
https://arxiv.org/abs/2107.12292.
Reference: github.com/JDAI-CV/CoTNet, models/cotnet.py (Apache-2.0), CotLayer and CoXtLayer.
Differences: the sum over the window, there a kernel for CUDA alone, runs everywhere.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Limits, Maps, pixel_place
from pixelwise.layers.shared.pointwise import formatted

SHARING = 8
"""Channels that have the same weights."""
LEAST_HIDDEN = 32


class ContextualTransformer(AttentionLayer):
    """Mix every pixel's neighbours by weights from a convolution, and add that convolution.

    Args:
        channels: Channels c of the input and of the output: a multiple of 8, of 16 for "coxt".
        kernel_size: Rows and columns k of the window; odd.
        variant: "cot", or "coxt" with grouped convolutions.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w; in training b is 2 at least.

    Cost:
        About c^2 (2.5 + k^2 (1/4 + 1/16)) multiply-adds per pixel for "cot"; memory linear in
        h * w.

    Raises:
        InputError: An option is out of range, or one image alone is to train the norm of the
            shares.

    Outside of the map values are 0. A pixel sees its window, and through the shares and `gnorm` a
    summary of the whole map.
    """

    key: ClassVar[str] = "cot"
    title: ClassVar[str] = "Contextual transformer block"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = ("CoTNet", "CotLayer", "CoXtLayer", "CoTAttention")
    cost_exponent: float = 1.0
    limits: Limits = Limits(images=2)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "key_embed": "keys",
        "embed.0": "narrow.0",
        "embed.1": "narrow.1",
        "embed.3": "expand",
        "embed.4": "norm_weights",
        "conv1x1": "value",
        "bn": "norm",
        "se.0": "reduce",
        "se.1": "norm_shares",
        "se.3": "share",
    }

    def __init__(self, channels: int, *, kernel_size: int = 3, variant: str = "cot") -> None:
        super().__init__(channels)
        one_of(("cot", "coxt"), variant=variant)
        at_least(1, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise InputError(f"kernel_size={kernel_size}: must be odd; take one more or one less")
        halves, multiple = (1, SHARING) if variant == "cot" else (2, 2 * SHARING)
        if channels % multiple:
            raise InputError(
                f"channels={channels}: must be a multiple of {multiple} for variant={variant!r}; "
                f"use {-(-channels // multiple) * multiple}"
            )
        self.kernel_size, self.halves = kernel_size, halves
        sets, hidden = channels // SHARING, max(channels // 2, LEAST_HIDDEN)
        self.keys = _conv_norm(channels, channels, kernel_size, groups=4 * halves)
        self.narrow = _conv_norm(2 * channels, channels // 2, 1, groups=halves)
        self.expand = nn.Conv2d(channels // 2, sets * kernel_size**2, 1, groups=halves)
        self.norm_weights = nn.GroupNorm(sets, sets * kernel_size**2)
        self.value = _conv_norm(channels, channels, 1, groups=halves)[:2]
        self.norm = nn.BatchNorm2d(channels)
        self.reduce = nn.Linear(channels, hidden)
        self.norm_shares = nn.BatchNorm1d(hidden)
        self.share = nn.Linear(hidden, 2 * channels)

    def reset_parameters(self) -> None:
        """Initialise again, as the constructor does: here as torch does."""
        super().reset_parameters()
        self.norm_weights.reset_parameters()

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Mix the window of every pixel, and add the keys, each by its share."""
        keys = self.keys(x)
        weights, value = self._weights(x, keys), self._value(x)
        windows = torch.stack(self._moved(value), dim=4)  # (b, g, 8, s, k k, h, w)
        mixed = torch.einsum("bgsthw,bgmsthw->bgmshw", weights, windows).flatten(1, 3)
        dynamic = F.silu(self.norm(mixed))
        shares = self._scores(dynamic, keys).softmax(dim=2)[:, :, :, None, None]
        return shares[:, :, 0] * dynamic + shares[:, :, 1] * keys

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A sum of moved maps in place of windows; of two shares, one is a sigmoid."""
        keys = self.keys(x)
        dynamic = self._dynamic(self._weights(x, keys), self._value(x))
        share = self._share(dynamic, keys)[:, :, None, None].to(keys.dtype)
        return formatted(torch.lerp(keys, dynamic.to(keys.dtype), share), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights of the window around `at`, signed, a head per set; and shares of the mixture.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        row, column = pixel_place(x, at)
        keys = self.keys(x)
        weights = self._weights(x, keys)
        share = self._share(self._dynamic(weights, self._value(x)), keys)
        own = weights[..., row, column].flatten(1, 2)  # (b, sets, k k)
        edge, (height, width) = self.kernel_size // 2, x.shape[2:]
        padded = own.new_zeros(*own.shape[:2], height + 2 * edge, width + 2 * edge)
        window = torch.unflatten(own, 2, (self.kernel_size, self.kernel_size))
        padded[:, :, row : row + 2 * edge + 1, column : column + 2 * edge + 1] = window
        inside = padded[:, :, edge : edge + height, edge : edge + width]
        return Maps(spatial=inside, channel=share)

    def _weights(
        self, x: Float[Tensor, "b c h w"], keys: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b g s kk h w"]:
        """Weights of the window around each pixel, for the sets of both halves."""
        if self.halves == 1:
            joined = torch.cat([x, keys], dim=1)
        else:  # each channel beside its key, so that a group has both
            joined = torch.stack([x, keys], dim=2).flatten(1, 2)
        weights = self.norm_weights(self.expand(self.narrow(joined)))
        return torch.unflatten(weights, 1, (self.halves, -1, self.kernel_size**2))

    def _value(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b g 8 s h w"]:
        """Values; those that share weights are apart from each other by the number of sets."""
        return torch.unflatten(self.value(x), 1, (self.halves, SHARING, -1))

    def _moved(self, value: Float[Tensor, "b g 8 s h w"]) -> list[Float[Tensor, "b g 8 s h w"]]:
        """The values of each place of the window, for all pixels."""
        side, (height, width) = self.kernel_size, value.shape[4:]
        # Not with channels last: of one image, torch misreads gradients of a norm laid out so.
        padded = F.pad(value, (side // 2,) * 4).contiguous()
        return [
            padded[..., row : row + height, column : column + width]
            for row in range(side)
            for column in range(side)
        ]

    def _dynamic(
        self, weights: Float[Tensor, "b g s kk h w"], value: Float[Tensor, "b g 8 s h w"]
    ) -> Float[Tensor, "b c h w"]:
        """What the content of the window decides."""
        weights = weights.to(value.dtype)[:, :, None]
        first, *others = self._moved(value)
        mixed = weights[..., 0, :, :] * first
        for place, moved in enumerate(others, start=1):
            mixed.addcmul_(weights[..., place, :, :], moved)  # backward does not need the sum
        return F.silu(self.norm(mixed.flatten(1, 3)))

    def _scores(
        self, dynamic: Float[Tensor, "b c h w"], keys: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c 2"]:
        """Of the mixture and of the keys, for each channel."""
        hidden = self.reduce((dynamic + keys).mean(dim=(2, 3)))
        return torch.unflatten(self.share(self.norm_shares(hidden).relu()), 1, (-1, 2))

    def _share(
        self, dynamic: Float[Tensor, "b c h w"], keys: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c"]:
        """How much of each channel is the mixture; the rest are keys."""
        scores = self._scores(dynamic, keys)
        return (scores[:, :, 0] - scores[:, :, 1]).sigmoid()


def _conv_norm(channels: int, outputs: int, side: int, *, groups: int) -> nn.Sequential:
    """A grouped convolution that keeps the size, batch norm, and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, outputs, side, padding=side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
