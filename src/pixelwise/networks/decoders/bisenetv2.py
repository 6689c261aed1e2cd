"""BiSeNetV2: detail and meaning from two branches, each gating the other.

With a fine map d, a coarse map s, D a depthwise convolution and batch norm, C a 3x3 convolution
and batch norm,

    e = W1 D(d) * sigmoid(up(C s))              what is there, where the meaning wants it
    f = pool(C d) * sigmoid(W1 D(s))            what it means, where the detail shows it
    logits = W1 dropout(relu(C relu(C(e + up(f)))))

and for each stage of the semantic branch an auxiliary output, with up(.) twice as large and F x F
channels for a map at 1/F of the input,

    W1 relu(C up(dropout(relu(C s_i))))

Source: Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
Segmentation", 2021, https://arxiv.org/abs/2004.02147.
Reference: github.com/CoinCheung/BiSeNet, lib/models/bisenetv2.py (MIT), commit 6b4b67a; trained
with OHEM cross-entropy on all five outputs, weight 1 each. The ReLU before the head is not in the
paper. Difference: resizing is to the size of the other map, so any input size works. With a
backbone other than `bisenetv2`, d is its third map from the end and s its last, each by a 1x1
convolution, and its last four maps have the auxiliary outputs.
variant="mmsegmentation" (Apache-2.0) resizes C s and f bilinearly, W1 has a bias, and auxiliary
outputs are two 3x3 convolutions at the map's own resolution.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.backbones.bisenetv2 import WIDTHS, depthwise, initialise
from pixelwise.networks.base import Decoder, Outputs
from pixelwise.networks.parts import conv_modules

VARIANTS = ("coincheung", "mmsegmentation")
STAGES = {"stage2": 4, "stage3": 8, "stage4": 16, "stage5": 32}
"""Auxiliary outputs, and at which part of the input's size their maps are."""


class Aggregation(ReferenceWeights):
    """Bilateral guided aggregation: detail and meaning gate each other.

    Args:
        channels: Channels of both maps and of the output.
        smooth: Resize bilinearly, not to the nearest pixel.
        bias: The 1x1 convolutions have a bias.

    Shape: (b, c, h, w), (b, c, i, j) -> (b, c, h, w), for any sizes.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        "left1": "detail",
        "left2": "detail_pooled",
        "right1": "semantic",
        "right2": "semantic_gate",
        "conv": "merge",
        # mmsegmentation's names.
        **conv_modules({"detail_dwconv.0.depthwise_conv": "detail"}),
        "detail_dwconv.0.pointwise_conv.conv": "detail.2",
        **conv_modules({"detail_down.0": "detail_pooled", "semantic_conv.0": "semantic"}),
        **conv_modules({"semantic_dwconv.0.depthwise_conv": "semantic_gate"}),
        "semantic_dwconv.0.pointwise_conv.conv": "semantic_gate.2",
        **conv_modules({"conv": "merge"}),
    }

    def __init__(self, channels: int, *, smooth: bool = False, bias: bool = False) -> None:
        super().__init__()
        self.smooth = smooth
        self.detail, self.semantic_gate = (
            nn.Sequential(
                *depthwise(channels, channels), nn.Conv2d(channels, channels, 1, bias=bias)
            )
            for _ in range(2)
        )
        self.detail_pooled = conv_norm(channels, channels, 3, stride=2, activation=None)
        self.detail_pooled.append(nn.AvgPool2d(3, 2, 1))
        self.semantic = conv_norm(channels, channels, 3, activation=None)
        self.merge = conv_norm(channels, channels, 3)

    def forward(
        self, detail: Float[Tensor, "b c h w"], semantic: Float[Tensor, "b c i j"]
    ) -> Float[Tensor, "b c h w"]:
        """Both maps in one, at the detail's size."""
        pooled = self.detail_pooled(detail)
        fine = self.detail(detail) * self._resized(self.semantic(semantic), detail).sigmoid()
        coarse = pooled * self._resized(self.semantic_gate(semantic), pooled).sigmoid()
        return self.merge(fine + self._resized(coarse, detail))

    def _resized(self, z: Tensor, to: Tensor) -> Tensor:
        return F.interpolate(z, size=to.shape[-2:], mode="bilinear" if self.smooth else "nearest")


class SegmentHead(ReferenceWeights):
    """Convolutions and a classifier, which for auxiliary outputs works at twice the size.

    Args:
        channels: Channels of the map.
        outputs: Logits per pixel.
        width: Channels of the first convolution.
        inner: Channels of a second one; None is without.
        doubled: The second convolution has a map twice as large.

    Shape: (b, channels, h, w) -> (b, outputs, h, w), or 2h and 2w where `doubled`.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({"conv": "first", "conv_out.0.1": "second"}),
        "conv_out.1": "classify",
        # mmsegmentation's names.
        **conv_modules({"convs.0": "first", "convs.1": "second"}),
        "conv_seg": "classify",
    }

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        width: int,
        inner: int | None = None,
        doubled: bool = False,
    ) -> None:
        super().__init__()
        self.doubled = doubled
        self.first = conv_norm(channels, width, 3)
        self.dropout = nn.Dropout(0.1)
        self.second = nn.Sequential() if inner is None else conv_norm(width, inner, 3)
        self.classify = nn.Conv2d(inner or width, outputs, kernel_size=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        """Logits of the map."""
        y = self.first(x)
        if self.doubled:
            y = self.second(F.interpolate(self.dropout(y), scale_factor=2.0))
        else:
            y = self.dropout(self.second(y))
        return self.classify(y)


class BiSeNetV2(Decoder):
    """Bilateral network with guided aggregation.

    Args:
        channels: Widths of the feature maps, finest first.
        outputs: Logits per pixel.
        width: Channels before the classifier.
        auxiliary: Train a head on each of the last four stages.
        variant: "coincheung" or "mmsegmentation", the two codes that have checkpoints.

    Shape: detail map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for an unknown variant.
    """

    key = "bisenetv2"
    title = "BiSeNet V2"
    year = 2021
    aliases = ("BiSeNet2",)
    summary = "two branches, detail and meaning, that gate each other; small and fast"
    source = "Yu et al. 2021, https://arxiv.org/abs/2004.02147"
    backbone = "bisenetv2"
    output_stride = 32
    auxiliary_weights: Mapping[str, float] = dict.fromkeys(STAGES, 1.0)
    loss = "ohem"
    reference_keys: ClassVar[Mapping[str, str]] = {
        "bga": "aggregate",
        "head": "head",
        "aux2": "stages.stage2",
        "aux3": "stages.stage3",
        "aux4": "stages.stage4",
        "aux5_4": "stages.stage5",
        # mmsegmentation's names.
        "backbone.bga": "aggregate",
        "decode_head": "head",
        **{f"auxiliary_head.{i}": f"stages.{name}" for i, name in enumerate(STAGES)},
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 1024,
        auxiliary: bool = True,
        variant: str = "coincheung",
    ) -> None:
        super().__init__()
        one_of(VARIANTS, variant=variant)
        plain, inner = variant == VARIANTS[0], WIDTHS[1]
        if tuple(channels) == WIDTHS:
            self.fine, self.places = 1, [0, 2, 3, 4]
            self.reduce_fine: nn.Module = nn.Identity()
            self.reduce_last: nn.Module = nn.Identity()
        else:
            self.fine, self.places = max(len(channels) - 3, 0), list(range(len(channels)))[-4:]
            self.reduce_fine = conv_norm(channels[self.fine], inner)
            self.reduce_last = conv_norm(channels[-1], inner)
        self.aggregate = Aggregation(inner, smooth=not plain, bias=not plain)
        self.head = SegmentHead(inner, outputs, width=width)
        names = list(STAGES)[-len(self.places) :] if auxiliary else []
        self.auxiliary_weights = dict.fromkeys(names, 1.0)
        self.stages = nn.ModuleDict()
        for name, place in zip(names, self.places, strict=False):
            self.stages[name] = SegmentHead(
                channels[place],
                outputs,
                width=128 if plain else STAGES[name] ** 2,
                inner=STAGES[name] ** 2,
                doubled=plain,
            )
        initialise(self)
        for part in self.modules():  # so that training starts at ln k; the reference, higher
            if isinstance(part, SegmentHead):
                nn.init.normal_(part.classify.weight, std=0.01)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the detail map's size."""
        detail, semantic = self.reduce_fine(features[self.fine]), self.reduce_last(features[-1])
        return self.head(self.aggregate(detail, semantic))

    def with_auxiliary(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Outputs:
        """Logits, and those of each stage, each at its own resolution."""
        heads = zip(self.stages.items(), self.places, strict=False)
        return Outputs(
            self(features), {name: head(features[place]) for (name, head), place in heads}
        )
