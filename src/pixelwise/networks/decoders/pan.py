"""Pyramid attention network: a pyramid of wide kernels, then gates on the way up.

    y4 = fpa(x4)                      feature pyramid attention on the last feature map
    y3 = gau(x3, y4)                  global attention upsample: x3 gated by y4, plus y4 enlarged
    y2 = gau(x2, y3),  y1 = gau(x1, y2)
    logits = W y1                     at a quarter of the input

Source: Li et al., "Pyramid Attention Network for Semantic Segmentation", BMVC 2018,
https://arxiv.org/abs/1805.10180. The authors released no code.
Reference: variant="smp" is github.com/qubvel-org/segmentation_models.pytorch, decoders/pan (MIT),
commit 5006616: `width` channels throughout, W a 3x3 convolution. variant="javeywang" is
github.com/JaveyWang/Pyramid-Attention-Networks-pytorch, networks.py, PAN (GPL-3; written from the
equations): y_i has the channels of x_i, W is 1x1; its loss for the classes of the picture is not
here. Differences: any sizes. "smp" repeats the border of maps under 8 x 8. "javeywang" wants sides
that are multiples of 8, and x2, x1 twice as large as what is below: it resizes what is below to
half of the finer map (x4 to x3), and repeats borders where a side does not divide.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.feature_pyramid_attention import LEAST, VARIANTS, FeaturePyramidAttention
from pixelwise.layers.global_attention_upsample import GlobalAttentionUpsample
from pixelwise.networks.base import Decoder

Side = int | torch.SymInt


class PAN(Decoder):
    """Feature pyramid attention, and three global attention upsamples.

    Args:
        channels: Widths of the feature maps, finest first; the last four are used.
        outputs: Logits per pixel.
        variant: "smp" or "javeywang", two networks that follow the same figure.
        width: Channels of the decoder; "javeywang" takes those of the feature maps instead.
        interpolation: How "smp" enlarges features: "bilinear" or "nearest".

    Shape: the first of the four maps (b, c, h, w) -> (b, outputs, h, w). A training batch needs
    two images.
    Raises: InputError for an unknown variant or interpolation, or too few channels.
    """

    key = "pan"
    title = "Pyramid attention network"
    year = 2018
    aliases = ("pyramid attention",)
    summary = "feature pyramid attention (fpa), then global attention upsample (gau) at each stage"
    source = "Li et al. 2018, https://arxiv.org/abs/1805.10180"
    output_stride = 16
    align_corners = True
    reference_keys: ClassVar[Mapping[str, str]] = {
        "fpa": "pyramid",
        **{f"gau_block{i + 1}": f"upsamples.{i}" for i in range(3)},
        # smp's names; it counts from the finest.
        "decoder.fpa": "pyramid",
        **{f"decoder.gau{3 - i}": f"upsamples.{i}" for i in range(3)},
        "segmentation_head.0": "classify",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        variant: str = VARIANTS[0],
        width: int = 32,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__()
        one_of(VARIANTS, variant=variant)
        at_least(1, width=width)
        self.narrow = variant == "smp"
        *finer, last = channels[-4:]
        self.pyramid = FeaturePyramidAttention(
            last, out_channels=width if self.narrow else last, variant=variant
        )
        self.upsamples = nn.ModuleList()
        for level, fine in enumerate(reversed(finer)):
            guides = width if self.narrow else channels[-1 - level]
            gate = GlobalAttentionUpsample(
                fine,
                guide_channels=guides,
                variant=variant,
                interpolation=interpolation,
                upsample=level > 0,
            )
            self.upsamples.append(gate)
        if self.narrow:
            self.classify: nn.Module = nn.Conv2d(width, outputs, kernel_size=3, padding=1)
        else:
            self.classify = nn.Conv2d((finer or [last])[0], outputs, kernel_size=1)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the finest map used."""
        *finer, y = features[-1 - len(self.upsamples) :]
        height, width = y.shape[-2:]
        y = _cut(self.pyramid(_repeated(y, self._whole(height), self._whole(width))), height, width)
        for level, (gate, fine) in enumerate(zip(self.upsamples, reversed(finer), strict=True)):
            y = gate(fine, y) if self.narrow else self._doubled(gate, fine, y, min(level + 1, 2))
        return self.classify(y)

    def unpadded(self, features: Sequence[Tensor]) -> Mapping[nn.Module, tuple[int, int]]:
        """Of the pyramid, whose input has its last row and column repeated."""
        return {self.pyramid: (features[-1].shape[2], features[-1].shape[3])}

    def _whole(self, side: Side) -> Side:
        """A side that the pyramid takes."""
        return torch.sym_max(side, LEAST) if self.narrow else -(-side // LEAST) * LEAST

    def _doubled(self, gate: nn.Module, fine: Tensor, y: Tensor, times: int) -> Tensor:
        """The gate of maps that are not exactly `times` as large as each other."""
        height, width = fine.shape[-2:]
        rows, columns = -(-height // times), -(-width // times)
        corners = self.align_corners
        y = F.interpolate(y, size=(rows, columns), mode="bilinear", align_corners=corners)
        return _cut(gate(_repeated(fine, rows * times, columns * times), y), height, width)


def _repeated(x: Tensor, height: Side, width: Side) -> Tensor:
    """The map with its last row and column repeated up to that size."""
    for axis, side in ((2, height), (3, width)):
        index = torch.arange(side, device=x.device).clamp(max=x.shape[axis] - 1)
        x = x.index_select(axis, index)
    return x


def _cut(x: Tensor, height: Side, width: Side) -> Tensor:
    """The first rows and columns of the map; by index, which torch.export can keep free."""
    for axis, side in ((2, height), (3, width)):
        x = x.index_select(axis, torch.arange(side, device=x.device))
    return x
