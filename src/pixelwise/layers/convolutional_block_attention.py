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

from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, one_of, pure, reduced
from pixelwise.ops.maximum import maximum
from pixelwise.ops.precision import full_precision, statistics_dtype

POOLS: Mapping[str, Callable[[Tensor, torch.dtype], Tensor]] = {
    "avg": lambda flat, kind: flat.mean(dim=2, dtype=kind),
    "max": lambda flat, kind: maximum(flat, 2).to(kind),
    "lp": lambda flat, kind: torch.linalg.vector_norm(flat, dim=2, dtype=kind),
    "lse": lambda flat, kind: flat.to(kind).logsumexp(dim=2),
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
    cost_exponent: float = 1.0
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
        super().__init__()
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

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate the channels of x, then its pixels."""
        with full_precision(x):
            gated = x * self._channel(x).to(x.dtype)[:, :, None, None]
            if self.score is None:
                return gated
            spatial = self._spatial(gated).to(x.dtype)
            return gated * spatial if spatial.requires_grad else gated.mul_(spatial)

    @pure
    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, if any, the same for every `at`, and gates of the channels."""
        with full_precision(x):
            channel = self._channel(x)
            if self.score is None:
                return Maps(channel=channel)
            gated = x * channel.to(x.dtype)[:, :, None, None]
            return Maps(spatial=self._spatial(gated), channel=channel)

    def _channel(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        flat, kind = x.flatten(2), statistics_dtype(x)
        pooled = torch.stack([POOLS[pool](flat, kind) for pool in self.pools])
        hidden = self.reduce(pooled.to(self.reduce.weight.dtype)).relu()
        return self.expand(hidden).to(kind).sum(dim=0).sigmoid()

    def _spatial(self, gated: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
        assert self.score is not None
        assert self.norm is not None
        flat, kind = gated.flatten(2), statistics_dtype(gated)
        pooled = torch.stack([maximum(flat, 1).to(kind), flat.mean(dim=1, dtype=kind)], dim=1)
        pooled = pooled.view(len(gated), 2, *gated.shape[2:])
        score = self.norm(self.score(pooled.to(self.score.weight.dtype)))
        return score.to(kind).sigmoid()
