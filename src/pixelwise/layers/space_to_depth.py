"""SPD-Conv: shrink a map without losing a pixel, then convolve.

For blocks of f x f pixels of a map x with c channels,

    z_((f j + i) c + k, u, v) = x_(k, f u + i, f v + j)     every block becomes one pixel
    y = activation(norm(W * z))                             a convolution that does not stride

W * z is a convolution of x with stride f and a kernel f times as large; see `fused`.

Source: Sunkara and Luo, "No More Strided Convolutions or Pooling", ECML-PKDD 2022,
https://arxiv.org/abs/2208.03641.
Reference: github.com/LabSAINT/SPD-Conv (now TrustAIoT/SPD-Conv), YOLOv5-SPD/models/common.py,
Focus, with the class space_to_depth of the ResNets there. Difference: any factor.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.base import Layer, Limits
from pixelwise.layers.empty_batch import is_empty, without_images
from pixelwise.layers.shared.pointwise import formatted, with_plain_gradient
from pixelwise.ops.space_to_depth import space_to_depth

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "none": nn.Identity,
}


class SpaceToDepth(Layer):
    """Rearrange blocks of pixels into channels, and convolve them.

    Args:
        channels: Channels of the input.
        factor: Rows and columns of a block; the map shrinks by it.
        kernel_size: Rows and columns of the kernel on the smaller map, zeros beyond its border.
        out_channels: Channels of the output, by default `channels`.
        norm: Batch norm after the convolution, which has a bias without it.
        activation: "silu", "relu" or "none".

    Shape:
        (b, c, h, w) -> (b, out_channels, h / factor, w / factor), for h and w that `factor`
        divides; an even `kernel_size` adds a row and a column.

    Cost:
        c o kernel_size^2 multiply-adds per pixel of the input, for o channels of the output.

    Raises:
        InputError: An option is out of range, or the factor does not divide the map.
    """

    key: ClassVar[str] = "spd"
    title: ClassVar[str] = "Space-to-depth convolution (SPD-Conv)"
    year: ClassVar[int] = 2022
    aliases: ClassVar[tuple[str, ...]] = (
        "SPDConv",
        "SpaceToDepthConv",
        "space to depth convolution",
        "pixel unshuffle convolution",
    )
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {"conv.conv": "conv", "conv.bn": "norm"}

    def __init__(
        self,
        channels: int,
        *,
        factor: int = 2,
        kernel_size: int = 3,
        out_channels: int | None = None,
        norm: bool = True,
        activation: str = "silu",
    ) -> None:
        super().__init__(channels)
        outputs = channels if out_channels is None else out_channels
        at_least(1, channels=channels, factor=factor, kernel_size=kernel_size, out_channels=outputs)
        one_of(tuple(ACTIVATIONS), activation=activation)
        self.factor = factor
        self.keeps_shape = factor == 1 and outputs == channels and kernel_size % 2 == 1
        self.limits = Limits(multiple=factor)
        self.conv = nn.Conv2d(
            channels * factor**2,
            outputs,
            kernel_size,
            padding=kernel_size // 2,
            bias=not norm,
        )
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange and convolve; see `plain`.

        Shape:
            (b, c, h, w) -> (b, o, i, j).
        """
        self.check(x)
        if is_empty(x):
            return without_images(self, self.forward, [x])
        return with_plain_gradient(formatted(self.plain(x), x))

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Rearrange, convolve, normalise, activate."""
        z = space_to_depth(x, self.factor)  # (b, f f c, u, v)
        return self.activation(self.norm(self.conv(z)))

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """Rearrangement and convolution as one convolution of the input, with stride `factor`.

        It needs no copy of the map, but takes longer than the two on CPUs.
        """
        f, (k, _) = self.factor, self.conv.kernel_size
        biased = self.conv.bias is not None
        channels, outputs = self.conv.in_channels // f**2, self.conv.out_channels
        one = nn.Conv2d(channels, outputs, f * k, f, f * (k // 2), bias=biased).to(self.conv.weight)
        one.weight.copy_(self._by_channel().permute(0, 1, 4, 2, 5, 3).reshape(one.weight.shape))
        if self.conv.bias is not None and one.bias is not None:
            one.bias.copy_(self.conv.bias)
        return one

    def _by_channel(self) -> Float[Tensor, "o c f f k k"]:
        """The kernel by channel, row offset and column offset."""
        apart = torch.unflatten(self.conv.weight, 1, (self.factor, self.factor, -1))
        return apart.permute(0, 3, 2, 1, 4, 5)
