"""The interface that every upsampler fulfils: a coarse map comes to the size of a fine one."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.kinds import KindsChecked
from pixelwise.layers.alterations import transformed
from pixelwise.layers.base import KINDS
from pixelwise.layers.empty_batch import is_empty, without_images
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.running import choice

PLAIN = {"reassembly": "plain", "point_reading": "plain"}
"""The forms that transforms of torch.func can go through."""


class Both(NamedTuple):
    """Two maps of one size."""

    large: Float[Tensor, "b c i j"]
    """The coarse map, enlarged."""
    fine: Float[Tensor, "b g i j"]
    """The fine one, changed or not."""


class Upsampler(ReferenceWeights, ABC, metaclass=KindsChecked):
    """From a coarse map and a fine one to both at the size of the fine one.

    A subclass writes `joined`. Found by `key`; see the registry.

    Args:
        channels: Channels of the coarse map.
        guide_channels: Channels of the fine map; None is as many. Only an upsampler that looks into
            the fine map asks for them, see `uses_guide`.

    Raises:
        InputError: There are no channels.
    """

    key: ClassVar[str]
    """Name in `create_upsampler`, as a decoder's option and on the command line."""
    title: ClassVar[str]
    """The mechanism's name as the paper has it."""
    year: ClassVar[int | None]
    """Of the paper; None where there is none."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names that articles and code have for it, beside the class's; case does not matter."""
    uses_guide: ClassVar[bool] = False
    """Whether the content of the fine map counts, or its size alone."""
    cost_exponent: float = 1.0
    """The p for which FLOPs grow as (h * w) ** p; a test measures it."""

    def __init__(self, channels: int, *, guide_channels: int | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.guide_channels = channels if guide_channels is None else guide_channels
        at_least(1, channels=channels, guide_channels=self.guide_channels)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        """The coarse map at the size of the fine one.

        Shape:
            (b, c, h, w), (b, g, i, j) -> (b, c, i, j), for any sizes.
        """
        return self.both(x, fine).large

    def both(self, x: Tensor, fine: Tensor) -> Both:
        """What a decoder joins: the coarse map enlarged, and the fine one, changed or not.

        Shape:
            (b, c, h, w), (b, g, i, j) -> (b, c, i, j), (b, g, i, j).
        """
        self.check(x, fine)
        if is_empty(x):
            return without_images(self, self.both, [x, fine])
        if transformed():
            with choice.forced(**PLAIN):
                large, detail = self.joined(x, fine)
        else:
            large, detail = self.joined(x, fine)
        return Both(formatted(large, x), formatted(detail, fine))

    @abstractmethod
    def joined(
        self, x: Float[Tensor, "b c h w"], fine: Float[Tensor, "b g i j"]
    ) -> tuple[Float[Tensor, "b c i j"], Float[Tensor, "b g i j"]]:
        """The mechanism: the coarse map enlarged, and the fine one."""

    def check(self, x: Tensor, fine: Tensor) -> None:
        """Refuse maps that the upsampler cannot take.

        Raises:
            InputError: A map is no tensor of real numbers, has not four axes or other channels, or
                the two are not of as many images.
        """
        for name, value in (("x", x), ("fine", fine)):
            if not isinstance(value, Tensor) or value.dtype not in KINDS:
                told = value.dtype if isinstance(value, Tensor) else type(value).__name__
                raise InputError(
                    f"{name}={told}: upsampler {self.key!r} takes tensors of real numbers in "
                    "float64, float32, bfloat16 or float16; convert it, e.g. x.float()"
                )
            if value.ndim != 4:
                raise InputError(
                    f"{name}={tuple(value.shape)}: upsampler {self.key!r} takes maps of shape "
                    "(batch, channels, rows, columns); add the missing axis, e.g. x[None]"
                )
            if min(value.shape[2:]) < 1:
                raise InputError(
                    f"{name}={tuple(value.shape)}: rows and columns of upsampler {self.key!r} must"
                    " be at least 1; give a map with pixels"
                )
        if x.shape[1] != self.channels:
            raise InputError(
                f"x={tuple(x.shape)}: upsampler {self.key!r} was made for {self.channels} channels "
                f"of the coarse map; make it with channels={x.shape[1]}"
            )
        if self.uses_guide and fine.shape[1] != self.guide_channels:
            raise InputError(
                f"fine={tuple(fine.shape)}: upsampler {self.key!r} was made for "
                f"{self.guide_channels} channels of the fine map; make it with "
                f"guide_channels={fine.shape[1]}"
            )
        if len(x) != len(fine):
            raise InputError(
                f"fine={tuple(fine.shape)}: must have as many images as x, {len(x)}; give both maps"
                " of the same batch"
            )


def resized(x: Float[Tensor, "b c h w"], like: Float[Tensor, "b _ i j"]) -> Tensor:
    """`x` at the size of another map, bilinearly."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def at_size(x: Float[Tensor, "b o _ _"], like: Float[Tensor, "b _ i j"]) -> Tensor:
    """`x` at the size of another map, bilinearly where it has not that size already."""
    free = torch.compiler.is_exporting()  # sizes may not be asked for
    same = not free and x.shape[2:] == like.shape[2:]
    return x if same else resized(x, like)
