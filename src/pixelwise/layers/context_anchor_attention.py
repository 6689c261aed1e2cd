"""Context anchor attention: a gate from the mean of 7x7 pixels and two long strip convolutions.

    p = mean_(7x7)(x)                      zeros outside of the map count
    z = act(norm(W1 p))
    u = D2 * (D1 * z + d1) + d2            each channel along its rows, then along its columns
    g = sigmoid(act(norm(W2 u)))
    y_ij = x_ij * g_ij

where W1 and W2 have biases if there is no norm.

Source: Cai et al., "Poly Kernel Inception Network for Remote Sensing Detection", CVPR 2024,
https://arxiv.org/abs/2403.06258.
Reference: github.com/NUST-Machine-Intelligence-Laboratory/PKINet, mmrotate/models/backbones/
pkinet.py (Apache-2.0), class CAA. Differences: theirs returns the gate g, and its caller
multiplies; even kernels, which there make the map larger, are refused.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.convolutional_gate import convolved
from pixelwise.layers.shared.pointwise import formatted, pointwise
from pixelwise.ops.depthwise import quickly_laid_out

WINDOW = 7
MOMENTUM, EPS = 0.03, 1e-3
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "gelu": nn.GELU,
    "hard_swish": nn.Hardswish,
}


class ContextAnchorAttention(AttentionLayer):
    """Gate every value by what lies around its pixel and along its row and column.

    Args:
        channels: Channels c of the input and of the output.
        kernel_size: Length of the strip along a column and of that along a row; odd. One number
            stands for both. In PKINet it is 11, 13, 15 and so on from block to block.
        norm: Batch norm after both 1x1 convolutions.
        activation: What follows them: "none", "silu", "relu", "leaky_relu", "gelu" or "hard_swish".

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 c^2 + 36 c multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The defaults are those of the authors' class. PKINet itself has `norm=False, activation="none"`.
    With "silu" in front of the sigmoid no gate is below 0.43.
    """

    key: ClassVar[str] = "caa"
    title: ClassVar[str] = "Context anchor attention"
    year: ClassVar[int] = 2024
    aliases: ClassVar[tuple[str, ...]] = ("PKINet", "PKINet attention")
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv1.conv": "reduce.0",
        "conv1.bn": "reduce.1",
        "h_conv.conv": "along_rows",
        "v_conv.conv": "along_columns",
        "conv2.conv": "expand.0",
        "conv2.bn": "expand.1",
    }

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int | tuple[int, int] = 11,
        norm: bool = True,
        activation: str = "silu",
    ) -> None:
        super().__init__(channels)
        height, width = pair(1, kernel_size=kernel_size)
        if height % 2 == 0 or width % 2 == 0:
            raise InputError(f"kernel_size={kernel_size}: must be odd; take one more or one less")
        one_of(tuple(ACTIVATIONS), activation=activation)
        self.reduce = _mixing(channels, norm, activation)
        self.along_rows = nn.Conv2d(
            channels, channels, (1, width), padding=(0, width // 2), groups=channels
        )
        self.along_columns = nn.Conv2d(
            channels, channels, (height, 1), padding=(height // 2, 0), groups=channels
        )
        self.expand = _mixing(channels, norm, activation)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate x by what lies around each pixel and along its row and column."""
        return x * self.gate(x)

    def gate(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The 7x7 means, mixed, drawn out along rows and columns, and mixed again, from 0 to 1."""
        near = F.avg_pool2d(x, WINDOW, stride=1, padding=WINDOW // 2)
        strips = self.along_columns(self.along_rows(self.reduce(near)))
        return self.expand(strips).sigmoid()

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Means of rows of means, matrix products, a fixed norm as part of those, quick strips."""
        return formatted(x * self._gate(x), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        return Maps(spatial=self._gate(x))

    def _gate(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        side = WINDOW // 2
        near = F.avg_pool2d(quickly_laid_out(x), (1, WINDOW), stride=1, padding=(0, side))
        near = F.avg_pool2d(near, (WINDOW, 1), stride=1, padding=(side, 0))
        mixed = pointwise(self.reduce, near.flatten(2)).view(x.shape)
        strips = convolved(self.along_columns, convolved(self.along_rows, mixed))
        return pointwise(self.expand, strips.flatten(2)).view(x.shape).sigmoid()


def _mixing(channels: int, norm: bool, activation: str) -> nn.Sequential:
    after = nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM) if norm else nn.Identity()
    conv = nn.Conv2d(channels, channels, kernel_size=1, bias=not norm)
    return nn.Sequential(conv, after, ACTIVATIONS[activation]())
