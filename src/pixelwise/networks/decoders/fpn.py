"""Semantic feature pyramid: feature maps of four resolutions, brought to the finest and summed.

    l_i = W1_i * x_i + b1_i + nearest(l_{i+1})        x_i: the backbone's last maps, coarsest first
    p_i = W3_i * l_i + b3_i                           the neck; without it p_i = x_i
    y_i = up(relu(norm(W * p_i)))                     once per doubling up to the finest map
    logits = Wc dropout(sum_i y_i)

`up` doubles height and width, bilinearly; the finest map has one convolution and no doubling. Each
sum first resizes what is added to the size of the finest map.

Source: Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019,
https://arxiv.org/abs/1901.02446.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/necks/fpn.py and
decode_heads/fpn_head.py (Apache-2.0), with the widths of its configs: batch norms, where the paper
has group norms, and no auxiliary head. github.com/qubvel-org/segmentation_models.pytorch,
decoders/fpn (MIT), version 0.6.0, is `smooth=False, group_norm=True` with `align_corners=True`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, conv_modules

LEVELS, DOUBLINGS = 8, 8
"""How many names of parts are known."""
GROUPS = 32
WITHOUT_NECK = "neck=None joins no maps; give the neck a width"


Enlarged = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From a number, a coarse map and a fine one to both at the size of the fine one."""


def repeated(join: int, x: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
    """A coarse map whose pixels are repeated, and the fine one as it is."""
    return F.interpolate(x, size=fine.shape[2:], mode="nearest"), fine


class TopDown(ReferenceWeights):
    """A feature pyramid's neck: all maps of one width, each told of the coarser ones.

    Shape: list of (b, c_i, h_i, w_i), finest first -> list of (b, width, h_i, w_i).
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        **{f"lateral_convs.{i}.conv": f"lateral.{i}" for i in range(LEVELS)},
        **{f"fpn_convs.{i}.conv": f"smooth.{i}" for i in range(LEVELS)},
    }

    def __init__(self, channels: Sequence[int], width: int, *, smooth: bool = True) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(into, width, kernel_size=1) for into in channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) if smooth else nn.Identity() for _ in channels
        )

    def forward(
        self, features: Sequence[Float[Tensor, "b _ _ _"]], enlarged: Enlarged | None = None
    ) -> list[Tensor]:
        """One map for each of `features`.

        `enlarged(i, coarse, fine)` gives both at one size; without it pixels are repeated.
        """
        maps = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        for i in reversed(range(len(maps) - 1)):
            large, fine = (enlarged or repeated)(i, maps[i + 1], maps[i])
            maps[i] = fine + large
        return [smooth(x) for smooth, x in zip(self.smooth, maps, strict=True)]


class FPN(Decoder):
    """A feature pyramid whose levels are summed at the finest resolution.

    Args:
        channels: Widths of the feature maps, finest first; the last are used, one per stride.
        outputs: Logits per pixel.
        width: Channels of the levels.
        neck: Channels of the neck; None is no neck: the levels see the backbone's maps.
        strides: Input pixels per pixel of each map used, finest first, each 1, 2, 4, ... times the
            first; what matters is how often a level has to double. Where there are fewer maps, the
            last of them. A backbone with its own `output_stride` has others, as (4, 8, 8, 8).
        smooth: The neck ends in a 3x3 convolution per level.
        group_norm: The levels normalise groups of channels of each picture, not the batch.
        upsampler: How the neck brings each map to the size of the finer one, such as "dysample";
            None repeats pixels. The levels double bilinearly. See `pixelwise layers`.

    Shape: list of (b, c_i, h_i, w_i) -> (b, outputs, h, w) of the finest map used.
    Raises: InputError for options out of range.
    """

    key = "fpn"
    title = "Semantic feature pyramid network"
    year = 2019
    aliases = ("FPNHead", "Panoptic FPN", "Semantic FPN")
    summary = "four resolutions, summed at the finest"
    source = "Kirillov et al. 2019, https://arxiv.org/abs/1901.02446"
    output_stride = 32
    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules(
            {
                f"scale_heads.{level}.{2 * i}": f"levels.{level}.{i}"
                for level in range(LEVELS)
                for i in range(DOUBLINGS)
            }
        ),
        "conv_seg": "classify.1",
        "neck": "neck",
        # smp's names; it counts the levels from the coarsest, the stages from the image.
        "decoder.p5": "neck.lateral.3",
        **{f"decoder.p{i + 2}.skip_conv": f"neck.lateral.{i}" for i in range(3)},
        **{
            f"decoder.seg_blocks.{3 - level}.block.{i}.block": f"levels.{level}.{i}"
            for level in range(4)
            for i in range(DOUBLINGS)
        },
        "segmentation_head.0": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 128,
        neck: int | None = 256,
        strides: Sequence[int] = (4, 8, 16, 32),
        smooth: bool = True,
        group_norm: bool = False,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        at_least(1, width=width, neck=width if neck is None else neck)
        if group_norm and width % GROUPS:
            raise InputError(
                f"width={width}: must be a multiple of {GROUPS} with group_norm; e.g. width=128"
            )
        used = list(channels)[-len(strides) :]
        self.doublings = doublings(strides)[-len(used) :]
        self.doublings = [d - self.doublings[0] for d in self.doublings]
        self.neck = None if neck is None else TopDown(used, neck, smooth=smooth)
        joins = [] if neck is None else [(neck, neck)] * (len(used) - 1)
        self.add_upsamplers(upsampler, joins, lacking="" if neck else WITHOUT_NECK)
        self.levels = nn.ModuleList(
            nn.Sequential(
                *(
                    (_conv_group_norm if group_norm else _conv_norm)(width if i else into, width)
                    for i in range(max(doubled, 1))
                )
            )
            for into, doubled in zip(
                used if neck is None else [neck] * len(used), self.doublings, strict=True
            )
        )
        self.classify = classifier(width, outputs)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the resolution of the finest map used."""
        maps = list(features[-len(self.levels) :])
        if self.neck is not None:
            maps = self.neck(maps, None if self.upsampler is None else self.enlarged)
        total, *others = (
            self._level(level, x, doubled)
            for level, x, doubled in zip(self.levels, maps, self.doublings, strict=True)
        )
        for y in others:
            total = total + self._resized(y, total.shape[2:])
        return self.classify(total)

    def _level(self, level: nn.Module, x: Tensor, doubled: int) -> Tensor:
        assert isinstance(level, nn.Sequential)
        for conv in level:
            x = conv(x)
            if doubled:
                x = self._resized(x, [2 * side for side in x.shape[2:]])
        return x

    def _resized(self, x: Tensor, size: list[Any] | torch.Size) -> Tensor:
        corners = self.align_corners
        return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=corners)


def _conv_norm(into: int, width: int) -> nn.Sequential:
    return conv_norm(into, width, 3)


def _conv_group_norm(into: int, width: int) -> nn.Sequential:
    conv = nn.Conv2d(into, width, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(GROUPS, width), nn.ReLU(inplace=True))


def doublings(strides: Sequence[int]) -> list[int]:
    """How often a map of each stride doubles until it has the first one's.

    Raises:
        InputError: A stride is not a power of two times the first, or less than the one before.
    """
    fits = strides and strides[0] > 0 and all(a <= b for a, b in pairwise(strides))
    ratios = [stride / strides[0] for stride in strides] if fits else []
    if not fits or any(not math.log2(ratio).is_integer() for ratio in ratios):
        raise InputError(
            f"strides={tuple(strides)}: must rise by powers of two from the first, finest one; "
            "e.g. strides=(4, 8, 16, 32)"
        )
    return [int(math.log2(ratio)) for ratio in ratios]
