"""Feature pyramid attention: a small U-net of wide kernels says where to look.

For a map x, with C_k a k x k convolution, norm and activation, D_k one that halves the map, and U
what doubles it,

    d1, d2, d3 = D7(x), D5(d1), D3(d2)      wide kernels on ever smaller maps
    t1, t2, t3 = C7(d1), C5(d2), C3(d3)     across
    p = U(t1 + U(t2 + U(t3)))               where to look
    g = C1(mean x)                          what the image is about
    y = C1(x) * p + g

"smp": D pools, then convolves; d, t and p have one channel; U is bilinear; every C ends in a relu.
"javeywang": D strides; d and t have c // 4 channels, p has all; U is a transposed convolution with
norm and relu; C has no activation of its own, but each sum that enters U and y have a relu.

Source: Li et al., "Pyramid Attention Network for Semantic Segmentation", BMVC 2018,
https://arxiv.org/abs/1805.10180. The authors released no code.
Reference: "smp" is github.com/qubvel-org/segmentation_models.pytorch, decoders/pan/decoder.py,
FPABlock (MIT); "javeywang" is github.com/JaveyWang/Pyramid-Attention-Networks-pytorch,
networks.py, FPA (GPL-3; written from the equations). Difference: the image's vector g is spread
as it is added, not resized.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Limits, Maps
from pixelwise.layers.shared.parts import conv_norm

VARIANTS = ("smp", "javeywang")
KERNELS = (7, 5, 3)
LEAST = 8


class FeaturePyramidAttention(AttentionLayer):
    """Weigh every pixel by what a pyramid of wide kernels sees, and add the image's mean.

    Args:
        channels: Channels c of the input.
        out_channels: Channels of the output, by default `channels`; only "smp" can change them.
        variant: "smp" or "javeywang", two networks that follow the same figure; neither loads
            the other's checkpoints.

    Shape:
        (b, c, h, w) -> (b, out_channels, h, w), for h and w of at least 8; in "javeywang" they
        must be multiples of 8. A training batch needs two images.

    Cost:
        (o + 12) c multiply-adds per pixel in "smp", for o channels of the output; about 6 c^2 in
        "javeywang".

    Raises:
        InputError: An option is out of range, the map is of a size that the pyramid cannot take,
            or a training batch has one image.
    """

    key: ClassVar[str] = "fpa"
    title: ClassVar[str] = "Feature pyramid attention"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = (
        "FPABlock",
        "FPA module",
        "FeaturePyramidAttentionModule",
    )
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "branch1.1.conv": "context.0",
        "branch1.1.bn": "context.1",
        "mid.0.conv": "value.0",
        "mid.0.bn": "value.1",
        "down1.1.conv": "down.0.0",
        "down1.1.bn": "down.0.1",
        "down2.1.conv": "down.1.0",
        "down2.1.bn": "down.1.1",
        "down3.1.conv": "down.2.0",
        "down3.1.bn": "down.2.1",
        "down3.2.conv": "across.2.0",
        "down3.2.bn": "across.2.1",
        "conv2.conv": "across.1.0",
        "conv2.bn": "across.1.1",
        "conv1.conv": "across.0.0",
        "conv1.bn": "across.0.1",
        "conv_gpb": "context.0",
        "bn_gpb": "context.1",
        "conv_master": "value.0",
        "bn_master": "value.1",
        "conv7x7_1": "down.0.0",
        "bn1_1": "down.0.1",
        "conv5x5_1": "down.1.0",
        "bn2_1": "down.1.1",
        "conv3x3_1": "down.2.0",
        "bn3_1": "down.2.1",
        "conv7x7_2": "across.0.0",
        "bn1_2": "across.0.1",
        "conv5x5_2": "across.1.0",
        "bn2_2": "across.1.1",
        "conv3x3_2": "across.2.0",
        "bn3_2": "across.2.1",
        "conv_upsample_1": "up.0.0",
        "bn_upsample_1": "up.0.1",
        "conv_upsample_2": "up.1.0",
        "bn_upsample_2": "up.1.1",
        "conv_upsample_3": "up.2.0",
        "bn_upsample_3": "up.2.1",
    }

    def __init__(
        self, channels: int, *, out_channels: int | None = None, variant: str = "smp"
    ) -> None:
        super().__init__(channels)
        one_of(VARIANTS, variant=variant)
        self.pooled = variant == "smp"
        outputs = channels if out_channels is None else out_channels
        at_least(1 if self.pooled else 4, channels=channels)
        at_least(1, out_channels=outputs)
        if outputs != channels and not self.pooled:
            raise InputError(
                f"out_channels={outputs}: variant='javeywang' keeps {channels} channels; "
                "leave out_channels away, or use variant='smp'"
            )
        self.keeps_shape = outputs == channels
        self.limits = Limits(least=LEAST, multiple=1 if self.pooled else LEAST, images=2)
        narrow, last = (1, "relu") if self.pooled else (channels // 4, None)
        stride = 1 if self.pooled else 2
        self.context = conv_norm(channels, outputs, bias=self.pooled, activation=last)
        self.value = conv_norm(channels, outputs, bias=self.pooled, activation=last)
        self.down, self.across, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, size in enumerate(KERNELS):
            width, wide = (narrow, narrow) if level else (channels, outputs)
            self.down.append(conv_norm(width, narrow, size, stride=stride, bias=self.pooled))
            self.across.append(conv_norm(narrow, narrow, size, bias=self.pooled, activation=last))
            if not self.pooled:
                self.up.append(doubled(narrow, wide).append(nn.ReLU(inplace=True)))

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """Weigh every pixel by the pyramid, and add the image's context."""
        context = self.context(x.mean(dim=(2, 3), keepdim=True))  # (b, o, 1, 1)
        y = self.value(x) * self._weights(x) + context
        return y if self.pooled else y.relu()

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """The factors p of the pixels, the same for every `at`; in "javeywang" one per channel."""
        return Maps(spatial=self._weights(x))

    def _weights(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b heads h w"]:
        return self._pooled_pyramid(x) if self.pooled else self._strided_pyramid(x)

    def _pooled_pyramid(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
        """The factors p in "smp"."""
        first = self.down[0](F.max_pool2d(x, 2))
        second = self.down[1](F.max_pool2d(first, 2))
        third = self.down[2](F.max_pool2d(second, 2))
        p = _enlarged(self.across[2](third), second)
        p = _enlarged(self.across[1](second) + p, first)
        return _enlarged(self.across[0](first) + p, x)

    def _strided_pyramid(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The factors p in "javeywang"."""
        first = self.down[0](x)
        second = self.down[1](first)
        third = self.down[2](second)
        p = self.up[2](self.across[2](third))
        p = self.up[1]((self.across[1](second) + p).relu())
        return self.up[0]((self.across[0](first) + p).relu())


def _enlarged(p: Float[Tensor, "b d i j"], like: Tensor) -> Float[Tensor, "b d h w"]:
    return F.interpolate(p, size=like.shape[2:], mode="bilinear", align_corners=True)


def doubled(channels: int, outputs: int) -> nn.Sequential:
    """Transposed convolution that doubles the map, and batch norm."""
    parts = nn.ConvTranspose2d(channels, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs)
    return nn.Sequential(*parts)
