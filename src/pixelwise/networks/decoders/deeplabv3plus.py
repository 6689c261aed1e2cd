"""DeepLabV3+: one pyramid of dilated convolutions, refined with a fine feature map.

    a_0 = up(relu(norm(W0 * mean(x4))))            what the picture shows on average
    a_1 = relu(norm(W1 * x4))                      each pixel alone
    a_d = sep_d(x4)                                its surroundings, dilated by d = 12, 24, 36
    y = relu(norm(W3 * [a_0, a_1, a_12, ...]))     a 3x3 convolution
    z = sep(sep([up(y), relu(norm(Wf * x1))]))     beside the fine map's edges
    logits = W dropout(z)                          and one convolution on x3, as an auxiliary output

sep is a 3x3 convolution of each channel alone, then a 1x1 convolution, each with norm and ReLU.
With variant="smp", sep has one norm and ReLU, at its end; W3 is 1x1 and sees a_0 last; a sep of its
own follows y, and only one follows up(y).

Source: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation", 2018, https://arxiv.org/abs/1802.02611.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/sep_aspp_head.py
(Apache-2.0), version 1.2.2, by its published key names: a quarter of the last feature map's width,
where the paper has 256 throughout, and its dilations at output stride 8; at 16 they are 6, 12, 18.
variant="smp" is github.com/qubvel-org/segmentation_models.pytorch, decoders/deeplabv3 (MIT),
version 0.6.0: width 256, and output stride 16 with the dilations above.
Difference: the part of W3 that sees a_0 is applied before a_0 is resized.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.joined import JoinedContexts
from pixelwise.networks.parts import conv_modules, inner_width, join_resized, refuse_one_image

MOST_BRANCHES = 16
"""Checkpoints with more dilations than this have no names here."""


class SeparableConvolution(ReferenceWeights):
    """3x3 convolution of each channel alone, then 1x1, each with norm and ReLU, or the last."""

    reference_keys: ClassVar[Mapping[str, str]] = conv_modules(
        {"depthwise_conv": "around", "pointwise_conv": "across"}
    )

    def __init__(
        self, channels: int, outputs: int, dilation: int = 1, *, inner_norm: bool = True
    ) -> None:
        super().__init__()
        self.around = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, dilation, dilation, groups=channels, bias=False)
        )
        if inner_norm:
            self.around.extend([nn.BatchNorm2d(channels), nn.ReLU(inplace=True)])
        self.across = conv_norm(channels, outputs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """Around each pixel, then across channels."""
        return self.across(self.around(x))


def _separable(theirs: str, norm: str, ours: str) -> dict[str, str]:
    """What smp calls a separable convolution and its norm."""
    parts = {f"{theirs}.0": "around.0", f"{theirs}.1": "across.0", norm: "across.1"}
    return {name: f"{ours}.{part}" for name, part in parts.items()}


WITHOUT_DETAIL = "detail_width=0 joins no fine map; raise it"
VARIANTS = ("mmsegmentation", "smp")
SMP: Mapping[str, str] = {
    **{f"decoder.aspp.0.convs.0.{i}": f"branches.0.{i}" for i in (0, 1)},
    **{
        theirs: ours
        for i in (1, 2, 3)
        for theirs, ours in _separable(
            f"decoder.aspp.0.convs.{i}.0", f"decoder.aspp.0.convs.{i}.1", f"branches.{i}"
        ).items()
    },
    **{f"decoder.aspp.0.convs.4.{i + 1}": f"average.{i}" for i in (0, 1)},
    **{f"decoder.aspp.0.project.{i}": f"join.{i}" for i in (0, 1)},
    **_separable("decoder.aspp.1", "decoder.aspp.2", "mix"),
    **{f"decoder.block1.{i}": f"detail.{i}" for i in (0, 1)},
    **_separable("decoder.block2.0", "decoder.block2.1", "refine.0"),
    "segmentation_head.0": "classify.1",
}
"""smp's names."""


class DeepLabV3Plus(JoinedContexts):
    """Dilated convolutions side by side, then the edges of a fine map.

    Args: as `JoinedContexts` has them, and
        dilations: One branch each; 1 is a 1x1 convolution.
        detail_width: Channels taken from the fine map, the fourth from the end, or the first where
            there are fewer; 0 leaves it out.
        variant: "mmsegmentation" or "smp", two networks that follow the same paper.
        upsampler: How the coarse map comes to the size of the fine one, such as "dysample"; None is
            bilinear. See `pixelwise layers`.

    Shape: feature maps -> (b, outputs, h, w) of the fine map.
    Raises: InputError for a dilation or a width below 1, and in training for one image alone.
    """

    key = "deeplabv3plus"
    title = "DeepLabv3+"
    year = 2018
    aliases = ("DLv3+", "DepthwiseSeparableASPPHead")
    summary = "dilated separable convolutions side by side, refined with a fine feature map"
    source = "Chen et al. 2018, https://arxiv.org/abs/1802.02611"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **JoinedContexts.reference_keys,
        **conv_modules({f"aspp_modules.{i}": f"branches.{i}" for i in range(MOST_BRANCHES)}),
        **{f"aspp_modules.{i}": f"branches.{i}" for i in range(MOST_BRANCHES)},
        **conv_modules({"image_pool.1": "average", "c1_bottleneck": "detail"}),
        "sep_bottleneck.0": "refine.0",
        "sep_bottleneck.1": "refine.1",
        **SMP,
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        dilations: Sequence[int] = (1, 12, 24, 36),
        detail_width: int = 48,
        auxiliary: bool = True,
        variant: str = VARIANTS[0],
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        one_of(VARIANTS, variant=variant)
        self.average_first = variant == "mmsegmentation"
        inner_norm = variant == "mmsegmentation"
        last = channels[-1]
        hidden = inner_width(last, width)
        at_least(1, dilations=min(dilations, default=1))
        at_least(0, detail_width=detail_width)
        self.fine = -min(4, len(channels))
        self.average = conv_norm(last, hidden)
        self.branches = nn.ModuleList(
            conv_norm(last, hidden)
            if d == 1
            else SeparableConvolution(last, hidden, d, inner_norm=inner_norm)
            for d in dilations
        )
        self.join = conv_norm((len(self.branches) + 1) * hidden, hidden, 3 if inner_norm else 1)
        self.mix = (
            nn.Identity() if inner_norm else SeparableConvolution(hidden, hidden, inner_norm=False)
        )
        self.detail = conv_norm(channels[self.fine], detail_width) if detail_width else None
        joins = [(hidden, detail_width)] if detail_width else []
        self.add_upsamplers(upsampler, joins, lacking=WITHOUT_DETAIL)
        self.refine = nn.Sequential(
            SeparableConvolution(hidden + detail_width, hidden, inner_norm=inner_norm)
        )
        if inner_norm:
            self.refine.append(SeparableConvolution(hidden, hidden))
        self.add_heads(channels, outputs, width=hidden, auxiliary=auxiliary)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the fine map's size."""
        x = features[-1]
        refuse_one_image(self, x)
        average = self.average(x.mean(dim=(2, 3), keepdim=True))
        y = torch.cat([branch(x) for branch in self.branches], dim=1)
        first, corners = self.average_first, self.align_corners
        y = join_resized(self.join, y, [average], align_corners=corners, coarse_first=first)
        y = self.mix(y)
        if self.detail is not None:
            detail = self.detail(features[self.fine])
            y = torch.cat(self.enlarged(0, y, detail), dim=1)
        return self.classify(self.refine(y))
