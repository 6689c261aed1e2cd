"""Global attention upsample: coarse features gate the channels of fine ones, and are added.

For a fine map x, a coarse map z, a 3x3 convolution C3 and a 1x1 convolution C1, each with a norm,

    g = gate(C1(mean z))          what the coarse map is about   (one gate per channel)
    y = up(z) + C3(x) * g         fine features, as far as they matter

"smp": the gate is a sigmoid, C3 ends in a relu, up is an interpolation, so z has the channels of
y. "javeywang": the gate is a relu, y = relu(...), up is a transposed convolution that doubles the
map, or a 1x1 convolution where it has the size already, and y has the channels of x.

Source: Li et al., "Pyramid Attention Network for Semantic Segmentation", BMVC 2018,
https://arxiv.org/abs/1805.10180. The authors released no code.
Reference: "smp" is github.com/qubvel-org/segmentation_models.pytorch, decoders/pan/decoder.py,
GAUBlock (MIT); "javeywang" is github.com/JaveyWang/Pyramid-Attention-Networks-pytorch,
networks.py, GAU (GPL-3; written from the equations). No difference.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import FusionLayer, Limits, Maps
from pixelwise.layers.feature_pyramid_attention import VARIANTS, doubled
from pixelwise.layers.shared.parts import conv_norm


class GlobalAttentionUpsample(FusionLayer):
    """Gate fine features by what coarse ones are about, and add the coarse ones.

    Args:
        channels: Channels c of the fine features, the first input.
        guide_channels: Channels of the coarse features, the second input; by default `channels`.
        variant: "smp" or "javeywang"; neither loads the other's checkpoints.
        interpolation: How "smp" enlarges the coarse features: "bilinear" or "nearest".
        upsample: Whether the coarse map of "javeywang" is half as large, or as large as the fine.

    Shape:
        (b, c, h, w), (b, g, i, j) -> (b, o, h, w) with o = g in "smp", for any sizes, and o = c in
        "javeywang", where (i, j) is (h, w) or its half. A training batch needs two images.

    Cost:
        9 c o multiply-adds per pixel; "javeywang" adds 4 g c for a transposed convolution, or g c.

    Raises:
        InputError: An option is out of range, the sizes of the inputs do not fit, or a training
            batch has one image.
    """

    key: ClassVar[str] = "gau"
    title: ClassVar[str] = "Global attention upsample"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = (
        "GAUBlock",
        "GAU module",
        "GlobalAttentionUpsampleModule",
    )
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv1.1.conv": "gate.0",
        "conv1.1.bn": "gate.1",
        "conv2.conv": "value.0",
        "conv2.bn": "value.1",
        "conv1x1": "gate.0",
        "bn_high": "gate.1",
        "conv3x3": "value.0",
        "bn_low": "value.1",
        "conv_upsample": "lift.0",
        "bn_upsample": "lift.1",
        "conv_reduction": "lift.0",
        "bn_reduction": "lift.1",
    }

    def __init__(
        self,
        channels: int,
        *,
        guide_channels: int | None = None,
        variant: str = "smp",
        interpolation: str = "bilinear",
        upsample: bool = True,
    ) -> None:
        super().__init__(channels)
        one_of(VARIANTS, variant=variant)
        one_of(("bilinear", "nearest"), interpolation=interpolation)
        guides = channels if guide_channels is None else guide_channels
        at_least(1, channels=channels, guide_channels=guides)
        self.guide_channels = guides
        self.interpolated = variant == "smp"
        outputs = guides if self.interpolated else channels
        self.interpolation, self.scale = interpolation, 2 if upsample else 1
        self.keeps_shape = outputs == channels
        self.limits = Limits(images=2)
        first, last = (None, "relu") if self.interpolated else ("relu", None)
        self.gate = conv_norm(guides, outputs, bias=self.interpolated, activation=first)
        self.value = conv_norm(channels, outputs, 3, bias=self.interpolated, activation=last)
        if self.interpolated:
            self.lift: nn.Module = nn.Identity()
        else:
            self.lift = (doubled if upsample else _resized)(guides, outputs)

    def plain(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b o h w"]:
        """Gate the fine features x by the coarse ones, and add these."""
        gated = self.value(x) * self._gates(guide)
        if not self.interpolated:
            self._check_sizes(x, guide)
            return (gated + self.lift(guide)).relu()
        corners = True if self.interpolation == "bilinear" else None
        size, mode = x.shape[2:], self.interpolation
        return gated + F.interpolate(guide, size, mode=mode, align_corners=corners)

    def maps(
        self,
        x: Float[Tensor, "b c h w"],
        guide: Float[Tensor, "b g i j"],
        at: tuple[int, int] | None = None,
    ) -> Maps:
        """Gates of the channels, the same for every `at`."""
        return Maps(channel=self._gates(guide)[:, :, 0, 0])

    def _gates(self, guide: Float[Tensor, "b g i j"]) -> Float[Tensor, "b o 1 1"]:
        gates = self.gate(guide.mean(dim=(2, 3), keepdim=True))
        return gates.sigmoid() if self.interpolated else gates

    def _check_sizes(self, x: Tensor, guide: Tensor) -> None:
        height, width = (size * self.scale for size in guide.shape[2:])
        if x.shape[2] != height or x.shape[3] != width:
            raise InputError(
                f"guide={tuple(guide.shape)}: the map of layer {self.key!r} must be {self.scale} "
                f"times as large, and has {x.shape[2]} rows and {x.shape[3]} columns; resize one, "
                "or choose upsample or variant='smp'"
            )


def _resized(channels: int, outputs: int) -> nn.Sequential:
    return conv_norm(channels, outputs, activation=None)
