"""Offsets of FreqFusion: read a map near each pixel, where its neighbours are more alike.

For a fine map a and a coarse map b of the same width, each normalised in groups of 8 channels and
with its cosine similarities to the 8 pixels around, two apart, as further channels, [z, s(z)]:

    d = arranged(D b) + D' a                offsets of columns and rows, per group
    e = sigmoid(arranged(S b) + S' a)       how far they reach
    y_YX = x(Y + d e H / h, X + d e W / w)  the enlarged map x of H x W, read bilinearly

D, D', S and S' are 3x3 convolutions; arranged(.) makes 2 x 2 pixels of the four for each pixel of
b, resized bilinearly where the fine map has another size.

Source and Reference: those of `frequency_fusion`.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.upsampling.base import at_size
from pixelwise.layers.upsampling.dynamic_sampling import CONSTANT
from pixelwise.ops.point_reading import read_points
from pixelwise.ops.running.precision import full_precision, statistics_dtype

APART = 2
PER_GROUP = 8
NEIGHBOURS = tuple((i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1))


class SimilaritySampling(ReferenceWeights):
    """Read an enlarged map at places that both maps propose.

    Args:
        hidden: Channels of the two maps that are compared; a multiple of 8 if they are normalised.
        channels: Channels of the map that is read; a multiple of `groups`.
        groups: Groups of them that are read at places of their own.
        norm: Whether the two maps are normalised.

    Shape:
        (b, hidden, i, j), (b, hidden, h, w), (b, channels, i, j) -> (b, channels, i, j).

    Raises:
        InputError: A width does not divide.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        "offset": "offset",
        "hr_offset": "fine_offset",
        "direct_scale": "reach",
        "hr_direct_scale": "fine_reach",
        "norm_hr": "fine_norm",
        "norm_lr": "norm",
    }

    def __init__(self, hidden: int, channels: int, *, groups: int = 4, norm: bool = True) -> None:
        super().__init__()
        at_least(1, resample_groups=groups)
        if channels % groups:
            raise InputError(
                f"resample_groups={groups}: must divide channels={channels}; lower resample_groups"
            )
        if norm and hidden % PER_GROUP:
            raise InputError(
                f"hidden={hidden}: must be a multiple of {PER_GROUP} with resample_norm; e.g."
                " hidden=64"
            )
        self.groups = groups
        seen, four = hidden + len(NEIGHBOURS), 4 * 2 * groups
        self.fine_norm, self.norm = (
            nn.GroupNorm(hidden // PER_GROUP, hidden) if norm else nn.Identity() for _ in range(2)
        )
        self.offset, self.reach = (nn.Conv2d(seen, four, 3, padding=1) for _ in range(2))
        self.fine_offset, self.fine_reach = (
            nn.Conv2d(seen, four // 4, 3, padding=1) for _ in range(2)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: next to reading each pixel itself."""
        for part in (self.offset, self.fine_offset):
            nn.init.normal_(part.weight, std=0.001)
        for part in (self.reach, self.fine_reach):
            nn.init.zeros_(part.weight)
        for part in (self.offset, self.fine_offset, self.reach, self.fine_reach):
            if part.bias is not None:
                nn.init.zeros_(part.bias)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Without the authors' constant buffer."""
        return {key: value for key, value in state_dict.items() if key != CONSTANT}

    def forward(
        self,
        fine: Float[Tensor, "b e i j"],
        coarse: Float[Tensor, "b e h w"],
        x: Float[Tensor, "b c i j"],
    ) -> Float[Tensor, "b c i j"]:
        """Read `x`."""
        a, b = _with_similarities(self.fine_norm(fine)), _with_similarities(self.norm(coarse))
        offset = at_size(F.pixel_shuffle(self.offset(b), 2), fine) + self.fine_offset(a)
        reach = at_size(F.pixel_shuffle(self.reach(b), 2), fine) + self.fine_reach(a)
        with full_precision(x):
            moved = (offset * reach.sigmoid()).to(statistics_dtype(x))
            columns, rows = moved.chunk(2, dim=1)
            lines = zip(x.shape[2:], coarse.shape[2:], strict=True)
            down, across = (many / few for many, few in lines)
            row, column = (
                torch.arange(side, device=x.device, dtype=moved.dtype) for side in x.shape[2:]
            )
            return read_points(x, row[:, None] + rows * down, column + columns * across)


def _with_similarities(z: Float[Tensor, "b e h w"]) -> Tensor:
    height, width = z.shape[2:]
    unit = F.normalize(z, dim=1, eps=1e-8)
    padded = F.pad(unit, (APART,) * 4)
    alike = [
        (unit * padded[:, :, APART * i : APART * i + height, APART * j : APART * j + width]).sum(
            dim=1, keepdim=True
        )
        for i, j in NEIGHBOURS
    ]
    return torch.cat([z, *alike], dim=1)
