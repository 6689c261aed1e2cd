"""The interface that every attention layer fulfils."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights


class Maps(NamedTuple):
    """What a layer attends to. A field is None where the mechanism has no such map."""

    spatial: Float[Tensor, "b heads h w"] | None = None
    """A weight or a gate for every pixel."""
    channel: Float[Tensor, "b c"] | Float[Tensor, "b c c"] | None = None
    """A gate for every channel, or for every channel its weights of the channels (rows)."""


class AttentionLayer(ReferenceWeights, ABC):
    """A map from features to features that weighs them by their content.

    Subclasses are found by `key`; see `pixelwise.layers.registry`.
    """

    key: ClassVar[str]
    """Name on the command line, in configs and in leaderboards."""
    cost_exponent: ClassVar[float]
    """The p for which FLOPs grow as (h * w) ** p; a test measures it."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Attend; see the subclass for the formula."""

    @abstractmethod
    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Attention that `forward(x)` uses, for the output pixel `at` (row, column)."""


def at_least(least: int, **values: int) -> None:
    """Raise an InputError for the first of `values` that is below `least`."""
    for name, value in values.items():
        if value < least:
            raise InputError(f"{name}={value}: must be at least {least}; raise {name}")


def pixel_index(x: Float[Tensor, "b c h w"], at: tuple[int, int] | None) -> int:
    """Where the pixel `at` (row, column) of `x` lies once height and width are one axis."""
    height, width = x.shape[2:]
    if at is None:
        raise InputError(
            "at=None: every pixel has a map of its own here; name one as at=(row, column)"
        )
    row, column = at
    if not (0 <= row < height and 0 <= column < width):
        raise InputError(
            f"at=({row}, {column}): outside of a map of {height} rows and {width} columns; "
            f"rows count from 0 to {height - 1}, columns from 0 to {width - 1}"
        )
    return row * width + column
