"""Bottleneck attention: one gate from a channel branch and a pixel branch together.

For pixels x_n in R^c of one image,

    m = W2 relu(norm(W1 mean_n(x_n) + b1)) + b2     which channels matter
    z = relu(norm(P x + p))                         narrowed, per pixel
    z = relu(norm(D_k * z + d_k))                   k times, D_k a dilated 3x3 convolution
    s_n = w . z_n + b                               which pixels matter
    y_cn = x_cn (1 + sigmoid(m_c s_n))              variant "code"
    y_cn = x_cn (1 + sigmoid(m_c + s_n))            variant "paper"

Source: Park et al., "BAM: Bottleneck Attention Module", BMVC 2018,
https://arxiv.org/abs/1807.06514.
Reference: github.com/Jongchan/attention-module, MODELS/bam.py (MIT). Differences: the mean runs
over the whole map, where the authors' window is a square of the map's height (`square_window`
for that), so that their code runs where h <= w < 2 h alone; the gate is never kept as a map.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.language import mark
from pixelwise.layers.base import AttentionLayer, Heads, Limits, Maps, reduced
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.ops.joint_gate import joint_gate, joint_weights
from pixelwise.ops.pixel_pools import mean_pool
from pixelwise.ops.running.precision import full_precision, statistics_dtype

NUMBERED = re.compile(r"(gate_s_(?:conv|bn)_di)_(\d+)")
PIXELS = "spatial_att.gate_s"


class BottleneckAttention(AttentionLayer):
    """Amplify what both a channel branch and a pixel branch point at.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio of both branches; the hidden width is `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.
        dilation: Dilation of the 3x3 convolutions.
        depth: How many 3x3 convolutions there are.
        variant: "code" multiplies the branches, as released; "paper" adds them, as written.
        square_window: Take the mean of a channel over its first h columns alone, as the authors
            do; then h <= w < 2 h must hold.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w; in training b is 2 at least.

    Cost:
        hidden * (c + 9 hidden * depth) multiply-adds per pixel; maps of the hidden width.

    Raises:
        InputError: An option is out of range, one image alone is to train the norm of the channel
            branch, or the map is too high or too wide for `square_window`.
    """

    key: ClassVar[str] = "bam"
    title: ClassVar[str] = "Bottleneck attention module"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = ("BAMBlock",)
    cost_exponent: float = 1.0
    authors_limit: ClassVar[str] = mark("the authors' code runs where h <= w < 2 h alone")
    map_heads: Heads = Heads("mean", None)
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    limits: Limits = Limits(images=2)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "channel_att.gate_c.gate_c_fc_0": "reduce",
        "channel_att.gate_c.gate_c_bn_1": "norm",
        "channel_att.gate_c.gate_c_fc_final": "expand",
        f"{PIXELS}.gate_s_conv_reduce0": "narrow.0",
        f"{PIXELS}.gate_s_bn_reduce0": "narrow.1",
        f"{PIXELS}.gate_s_conv_di": "dilated",
        f"{PIXELS}.gate_s_bn_di": "norms",
        f"{PIXELS}.gate_s_conv_final": "score",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        hidden: int | None = None,
        dilation: int = 4,
        depth: int = 2,
        variant: str = "code",
        square_window: bool = False,
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        at_least(1, dilation=dilation)
        at_least(0, depth=depth)
        one_of(("code", "paper"), variant=variant)
        self.variant, self.square_window = variant, square_window
        self.reduce = nn.Linear(channels, width)
        self.norm = nn.BatchNorm1d(width)
        self.expand = nn.Linear(width, channels)
        self.narrow = conv_norm(channels, width, bias=True)
        self.dilated = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))
        self.score = nn.Conv2d(width, 1, 1)

    def reference_name(self, key: str) -> str | None:
        """Our name for the authors' `key`, in which the dilated convolutions are numbered."""
        return super().reference_name(NUMBERED.sub(r"\1.\2", key))

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Amplify x by one gate from a branch of channels and a branch of pixels."""
        mean = (self._window(x) if self.square_window else x).mean(dim=(2, 3))
        channel = self.expand(self.norm(self.reduce(mean)).relu())[:, :, None, None]
        z = self.narrow(x)
        for conv, norm in zip(self.dilated, self.norms, strict=True):
            z = norm(conv(z)).relu()
        spatial = self.score(z)  # (b, 1, h, w)
        product = self.variant == "code"
        gate = 1 + (channel * spatial if product else channel + spatial).sigmoid()
        return x * gate

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The gate of every channel and pixel is never written as a map."""
        flat, channel, spatial = self._branches(x)
        product = self.variant == "code"
        return joint_gate(flat, channel, spatial, product=product).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Factors of the pixels, 1 to 2, the same for every `at`; a head is a channel."""
        _, channel, spatial = self._branches(x)
        with full_precision(x):
            weights = joint_weights(channel, spatial, product=self.variant == "code")
            return Maps(spatial=(1 + weights).view(x.shape))

    def _branches(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"], Float[Tensor, "b n"]]:
        """The map to go on with, and the logits of channels and pixels."""
        kind, flat = statistics_dtype(x), x.flatten(2)
        with full_precision(x):
            if self.square_window:
                mean = self._window(x).mean(dim=(2, 3), dtype=kind)
            else:
                flat, mean = mean_pool(flat)
            hidden = self.norm(self.reduce(mean.to(self.reduce.weight.dtype))).relu()
            channel = self.expand(hidden).to(kind)
        z = self.narrow(flat.view(x.shape))
        if z.device.type == "cpu":  # a dilated convolution of a narrow map takes half the time then
            z = z.contiguous(memory_format=torch.channels_last)
        for conv, norm in zip(self.dilated, self.norms, strict=True):
            z = torch.relu_(norm(conv(z)))
        return flat, channel, self.score(z).flatten(1).to(kind)

    def _window(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w2"]:
        height, width = x.shape[2:]
        if not height <= width < 2 * height:
            raise InputError(
                f"square_window=True with a map of {height} rows and {width} columns: must have "
                "as many columns as rows at least, and less than twice as many; "
                "set square_window=False"
            )
        return x[..., :height]
