"""Convolutional block attention: gate the channels, then the pixels of what that leaves.

For pixels x_n in R^c of one image,

    h(z) = W2 relu(W1 z + b1) + b2                    a bottleneck, shared by the pools
    g = sigmoid(sum_p h(pool_p(x)))                   which channels matter   (b2 counts per pool)
    u_n = x_n * g
    s_n = sigmoid(norm(K * [max_c u, mean_c u])_n)    which pixels matter     (K: 7x7 convolution)
    y_n = u_n s_n

where a pool of a channel is its mean ("avg"), its largest value ("max"), the root of its sum of
squares ("lp") or the logarithm of its sum of exponentials ("lse").

Source: Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018,
https://arxiv.org/abs/1807.06521.
Reference: github.com/Jongchan/attention-module, MODELS/cbam.py (MIT). Differences: the bottleneck
sees all pools at once; the gradient of "lp" is 0, not undefined, for a channel of zeros.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, reduced
from pixelwise.ops.channel_pools import channel_pools
from pixelwise.ops.factor_gate import factor_gate
from pixelwise.ops.pixel_pools import mean_and_maximum_pool, mean_pool
from pixelwise.ops.polarized_gate import polarized_gate
from pixelwise.ops.running.precision import full_precision, statistics_dtype

POOLS: Mapping[str, Callable[[Float[Tensor, "b c n"]], Float[Tensor, "b c"]]] = {
    "avg": lambda flat: flat.mean(dim=2),
    "max": lambda flat: flat.max(dim=2).values,
    "lp": lambda flat: torch.linalg.vector_norm(flat, dim=2),
    "lse": lambda flat: flat.logsumexp(dim=2),
}
KERNEL = 7
MOMENTUM = 0.01


class ConvolutionalBlockAttention(AttentionLayer):
    """Gate the channels by several pools of them, then the pixels by their neighbourhood.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio; the hidden width is `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.
        pools: What the channel gates see: "avg", "max", "lp" and "lse", any of them.
        spatial: Whether to gate the pixels too.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 6 c + 98 operations per pixel; in evaluation no map beside the result is kept.

    Raises:
        InputError: An option is out of range.

    The norm of the pixel gate has one channel; its running statistics move by 0.01 a step.
    """

    key: ClassVar[str] = "cbam"
    title: ClassVar[str] = "Convolutional block attention module"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = ("CBAMBlock", "CBAM module", "Conv block attention")
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "ChannelGate.mlp.1": "reduce",
        "ChannelGate.mlp.3": "expand",
        "SpatialGate.spatial.conv": "score",
        "SpatialGate.spatial.bn": "norm",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        hidden: int | None = None,
        pools: tuple[str, ...] = ("avg", "max"),
        spatial: bool = True,
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        if not pools:
            raise InputError("pools=(): must name one pool at least; e.g. pools=('avg', 'max')")
        for pool in pools:
            one_of(tuple(POOLS), pools=pool)
        self.pools = tuple(pools)
        self.reduce = nn.Linear(channels, width)
        self.expand = nn.Linear(width, channels)
        self.score = self.norm = None
        if spatial:
            self.score = nn.Conv2d(2, 1, KERNEL, padding=KERNEL // 2, bias=False)
            self.norm = nn.BatchNorm2d(1, momentum=MOMENTUM)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate the channels of x by its pools, then the pixels of what that leaves."""
        pools = torch.stack([POOLS[name](x.flatten(2)) for name in self.pools])  # (pools, b, c)
        excited = self.expand(self.reduce(pools).relu()).sum(dim=0)
        gated = x * excited.sigmoid()[:, :, None, None]
        if self.score is None or self.norm is None:
            return gated
        both = torch.stack([gated.max(dim=1).values, gated.mean(dim=1)], dim=1)  # (b, 2, h, w)
        return gated * self.norm(self.score(both)).sigmoid()

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One pass applies both gates; the map with gated channels is not written."""
        with full_precision(x):
            flat, channel = self._channel(x.flatten(2))
            if self.score is None:
                return factor_gate(flat, channel[:, :, None]).view(x.shape)
            flat, *pools = channel_pools(flat, channel)
            score = self._score(torch.stack(pools, dim=1), x).flatten(1)
            y = polarized_gate(flat, channel, None, score, product=True, softmax=False)
            return y.view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, if any, the same for every `at`, and gates of the channels."""
        with full_precision(x):
            flat, channel = self._channel(x.flatten(2))
            if self.score is None:
                return Maps(channel=channel)
            pools = torch.stack(channel_pools(flat, channel)[1:], dim=1)
            return Maps(spatial=self._score(pools, x).sigmoid(), channel=channel)

    def _channel(
        self, x: Float[Tensor, "b c n"]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"]]:
        """The map to go on with, and the gates of the channels."""
        flat, kind, found = x, statistics_dtype(x), {}
        if "max" in self.pools:
            flat, found["avg"], found["max"] = mean_and_maximum_pool(x)
        elif "avg" in self.pools:
            flat, found["avg"] = mean_pool(x)
        pools = [found[p] if p in found else POOLS[p](x.to(kind)) for p in self.pools]
        hidden = self.reduce(torch.stack(pools).to(self.reduce.weight.dtype)).relu()
        return flat, self.expand(hidden).to(kind).sum(dim=0).sigmoid()

    def _score(
        self, pools: Float[Tensor, "b 2 n"], x: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b 1 h w"]:
        """Logits of the gates of the pixels from the pools of their channels."""
        assert self.score is not None
        assert self.norm is not None
        pooled = pools.view(x.shape[0], 2, *x.shape[2:]).to(self.score.weight.dtype)
        return self.norm(self.score(pooled)).to(pools.dtype)
