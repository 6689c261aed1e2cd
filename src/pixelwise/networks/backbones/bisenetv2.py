"""BiSeNetV2's two branches: one wide and shallow for detail, one narrow and deep for meaning.

With C a convolution, batch norm and ReLU, and D a depthwise convolution and batch norm,

    detail    d = C^8(x), three of them with stride 2                      128 channels at 1/8
    stem      z = C(x) at 1/2;  s = C [C C1(z), maxpool z]                  16 at 1/4
    stages    s3, s4, s5 = expansions of s, s3, s4                          32, 64, 128 to 1/32
    context   c = C(s5 + C1 norm(mean s5))                                  128 at 1/32
    expansion y = relu(x' + norm(W1 relu(D C(x))))     D widens 6 times; x' = x, or with stride 2
                                                       norm(W1 D(x)), and one more D inside

Source: Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
Segmentation", 2021, https://arxiv.org/abs/2004.02147.
Reference: github.com/CoinCheung/BiSeNet, lib/models/bisenetv2.py (MIT), commit 6b4b67a. It has a
norm and a ReLU behind the context's last convolution, and a ReLU behind an expansion's last
depthwise convolution, which the paper's figures do not show. mmsegmentation's BiSeNetV2
(Apache-2.0) has the same branches under other names. Difference: any input size.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.models import FeatureInfo
from torch import Tensor, nn

from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.parts import conv_modules
from pixelwise.ops.running.precision import statistics_dtype

WIDTHS = (16, 128, 32, 64, 128, 128)
"""Channels of the feature maps: stem, detail, three stages, context."""
REDUCTIONS = (4, 8, 8, 16, 32, 32)
MODULES = ("stem", "detail", "stage3", "stage4", "stage5", "context")


def depthwise(
    channels: int, outputs: int, *, stride: int = 1, activation: bool = False
) -> nn.Sequential:
    """3x3 convolution of each channel by itself, and batch norm (and ReLU): parts 0, 1 (and 2)."""
    convolution = nn.Conv2d(channels, outputs, 3, stride, 1, groups=channels, bias=False)
    parts: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts, *([nn.ReLU(inplace=True)] if activation else []))


def initialise(module: nn.Module) -> None:
    """Start convolutions as the reference does: normal, by the outputs they feed."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


class Stem(ReferenceWeights):
    """To a quarter of the size: strided convolutions beside pooling."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({"conv": "halve", "left.0": "convolve.0", "left.1": "convolve.1"}),
        **conv_modules({"fuse": "fuse"}),
        # mmsegmentation's names.
        **conv_modules({"conv_first": "halve", "convs.0": "convolve.0", "convs.1": "convolve.1"}),
        **conv_modules({"fuse_last": "fuse"}),
    }

    def __init__(self, channels: int = 3, outputs: int = WIDTHS[0]) -> None:
        super().__init__()
        self.halve = conv_norm(channels, outputs, 3, stride=2)
        self.convolve = nn.Sequential(
            conv_norm(outputs, outputs // 2), conv_norm(outputs // 2, outputs, 3, stride=2)
        )
        self.fuse = conv_norm(2 * outputs, outputs, 3)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """The map at a quarter of the size."""
        x = self.halve(image)
        return self.fuse(torch.cat([self.convolve(x), F.max_pool2d(x, 3, 2, 1)], dim=1))


class Expansion(ReferenceWeights):
    """Gather and expansion: depthwise convolutions in `expansion` times as many channels."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({"conv1": "gather"}),
        "dwconv": "expand.0",  # with stride 1
        "dwconv1": "expand.0",
        "dwconv2": "expand.1",
        "conv2": "project",
        # mmsegmentation's names.
        **conv_modules({"dwconv.0": "expand.0", "dwconv.1": "expand.1", "conv2.0": "project"}),
        "shortcut.0.depthwise_conv.conv": "shortcut.0",
        "shortcut.0.depthwise_conv.bn": "shortcut.1",
        "shortcut.0.pointwise_conv.conv": "shortcut.2",
        "shortcut.0.pointwise_conv.bn": "shortcut.3",
        "shortcut": "shortcut",
    }

    def __init__(self, channels: int, outputs: int, *, stride: int = 1, expansion: int = 6) -> None:
        super().__init__()
        wide = expansion * channels
        self.gather = conv_norm(channels, channels, 3)
        self.expand = nn.Sequential()
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.expand.append(depthwise(channels, wide, stride=stride))
            self.shortcut.extend(depthwise(channels, channels, stride=stride))
            self.shortcut.extend(conv_norm(channels, outputs, activation=None))
        self.expand.append(depthwise(wide if stride > 1 else channels, wide, activation=True))
        self.project = conv_norm(wide, outputs, activation=None)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """The map after one expansion; halved with stride 2."""
        return (self.project(self.expand(self.gather(x))) + self.shortcut(x)).relu()


class Context(ReferenceWeights):
    """Context embedding: the image's mean, transformed, is added to every pixel."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        "bn": "norm",
        "gap.1": "norm",  # mmsegmentation
        **conv_modules({"conv_gap": "transform", "conv_last": "spread"}),
    }

    def __init__(self, channels: int = WIDTHS[-1]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.transform = conv_norm(channels, channels)
        self.spread = conv_norm(channels, channels, 3)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map with the image's context in it."""
        mean = x.mean((2, 3), keepdim=True, dtype=statistics_dtype(x)).to(x.dtype)
        return self.spread(x + self.transform(self.norm(mean)))


class BiSeNetV2Body(ReferenceWeights):
    """Both branches as a backbone that gives its feature maps, as timm's do.

    Args:
        in_chans: Input bands.

    Shape: (b, in_chans, h, w) -> list of (b, WIDTHS[i], ceil(h / r), ceil(w / r)) for r in
    `REDUCTIONS`.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({f"detail.S1.{i}": f"detail.{i}" for i in range(2)}),
        **conv_modules({f"detail.S2.{i}": f"detail.{i + 2}" for i in range(3)}),
        **conv_modules({f"detail.S3.{i}": f"detail.{i + 5}" for i in range(3)}),
        "segment.S1S2": "stem",
        **{f"segment.S3.{i}": f"stage3.{i}" for i in range(2)},
        **{f"segment.S4.{i}": f"stage4.{i}" for i in range(2)},
        **{f"segment.S5_4.{i}": f"stage5.{i}" for i in range(4)},
        "segment.S5_5": "context",
        # mmsegmentation's names.
        **conv_modules({f"detail.detail_branch.0.{i}": f"detail.{i}" for i in range(2)}),
        **conv_modules({f"detail.detail_branch.1.{i}": f"detail.{i + 2}" for i in range(3)}),
        **conv_modules({f"detail.detail_branch.2.{i}": f"detail.{i + 5}" for i in range(3)}),
        "semantic.stage1": "stem",
        **{f"semantic.stage2.{i}": f"stage3.{i}" for i in range(2)},
        **{f"semantic.stage3.{i}": f"stage4.{i}" for i in range(2)},
        **{f"semantic.stage4.{i}": f"stage5.{i}" for i in range(4)},
        "semantic.stage4_CEBlock": "context",
    }

    def __init__(self, in_chans: int = 3) -> None:
        super().__init__()
        stem, detail, third, fourth, fifth, context = WIDTHS
        half = detail // 2
        self.detail = nn.Sequential(
            conv_norm(in_chans, half, 3, stride=2),
            conv_norm(half, half, 3),
            conv_norm(half, half, 3, stride=2),
            *(conv_norm(half, half, 3) for _ in range(2)),
            conv_norm(half, detail, 3, stride=2),
            *(conv_norm(detail, detail, 3) for _ in range(2)),
        )
        self.stem = Stem(in_chans, stem)
        self.stage3 = _stage(stem, third, 2)
        self.stage4 = _stage(third, fourth, 2)
        self.stage5 = _stage(fourth, fifth, 4)
        self.context = Context(context)
        maps = zip(WIDTHS, REDUCTIONS, MODULES, strict=True)
        self.feature_info = FeatureInfo(
            [{"num_chs": c, "reduction": r, "module": name} for c, r, name in maps],
            out_indices=tuple(range(len(WIDTHS))),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the reference does: an expansion starts as its shortcut."""
        initialise(self)
        for part in self.modules():
            if isinstance(part, Expansion):
                nn.init.zeros_(part.project.get_parameter("1.weight"))

    def forward(self, image: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The feature maps, finest first."""
        stem = self.stem(image)
        third = self.stage3(stem)
        fourth = self.stage4(third)
        fifth = self.stage5(fourth)
        return [stem, self.detail(image), third, fourth, fifth, self.context(fifth)]


def _stage(channels: int, outputs: int, blocks: int) -> nn.Sequential:
    """Expansions, of which the first halves the map."""
    later = (Expansion(outputs, outputs) for _ in range(blocks - 1))
    return nn.Sequential(Expansion(channels, outputs, stride=2), *later)
