"""Global attention mechanism: a perceptron over channels at every pixel, then a wide convolution.

For pixels x_n in R^c of one image,

    m_n = W2 relu(W1 x_n + b1) + b2            which channels of a pixel matter
    u_n = x_n * sigmoid(m_n)                   or x_n * m_n, without the sigmoid
    z = relu(norm(K1 * u + k1))                narrowed by a 7x7 convolution
    g = shuffle(sigmoid(norm(K2 * z + k2)))    which pixels matter, for each channel
    y_n = u_n * g_n

where shuffle takes the channels of several parts in turn, if it is asked for.

Source: Liu et al., "Global Attention Mechanism: Retain Information to Enhance Channel-Spatial
Interactions", 2021, https://arxiv.org/abs/2112.05561.
Reference: none by the authors is known; this is the layer as it is commonly published. Two forms
are compared with: github.com/z1069614715/objectdetection_script, GAM.py (no licence file), which
is the default, and github.com/iscyy/yoloair, GAMAttention.py (GPL-3.0), with
channel_sigmoid=False, groups=4, shuffle=4. Of both there are numbers only; the code was not read.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps, reduced
from pixelwise.ops.channel_shuffle import channel_shuffle

KERNEL = 7


class GlobalAttentionMechanism(AttentionLayer):
    """Weigh the channels of every pixel by a perceptron, then the pixels of every channel.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio of both parts; the hidden width is `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.
        channel_sigmoid: Whether the weights of channels pass a sigmoid. Most copies have none, and
            their weights are of either sign and without bounds.
        groups: Of both 7x7 convolutions.
        shuffle: Parts of the gate whose channels are taken in turn; 1 leaves their order.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c * hidden * (2 + 98 / groups) multiply-adds per pixel.

    Raises:
        InputError: An option is out of range, or does not divide the widths.

    In training, one image of a single pixel is refused by the norms: one value has no variance.
    """

    key: ClassVar[str] = "gam"
    title: ClassVar[str] = "Global attention mechanism"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = ("GAM_Attention", "GAMAttention")
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "channel_attention.0": "reduce",
        "channel_attention.2": "expand",
        "spatial_attention.0": "narrow",
        "spatial_attention.1": "narrow_norm",
        "spatial_attention.3": "widen",
        "spatial_attention.4": "widen_norm",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 4,
        hidden: int | None = None,
        channel_sigmoid: bool = True,
        groups: int = 1,
        shuffle: int = 1,
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        at_least(1, groups=groups, shuffle=shuffle)
        if channels % groups or width % groups:
            raise InputError(
                f"groups={groups}: must divide channels={channels} and the hidden width {width}; "
                "lower it, or give the width as hidden"
            )
        if channels % shuffle:
            raise InputError(f"shuffle={shuffle}: must divide channels={channels}; lower it")
        self.channel_sigmoid, self.shuffle = channel_sigmoid, shuffle
        self.reduce = nn.Conv2d(channels, width, 1)
        self.expand = nn.Conv2d(width, channels, 1)
        self.narrow = nn.Conv2d(channels, width, KERNEL, padding=KERNEL // 2, groups=groups)
        self.narrow_norm = nn.BatchNorm2d(width)
        self.widen = nn.Conv2d(width, channels, KERNEL, padding=KERNEL // 2, groups=groups)
        self.widen_norm = nn.BatchNorm2d(channels)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh the channels of every pixel, then gate the pixels of every channel."""
        weighed = self._weighed(x)
        return weighed * self._gate(weighed)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        return Maps(spatial=self._gate(self._weighed(x)))

    def _weighed(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        weights = self.expand(self.reduce(x).relu())
        return x * (weights.sigmoid() if self.channel_sigmoid else weights)

    def _gate(self, weighed: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        z = self.narrow_norm(self.narrow(weighed)).relu()
        gate = self.widen_norm(self.widen(z)).sigmoid()
        return channel_shuffle(gate, self.shuffle) if self.shuffle > 1 else gate
