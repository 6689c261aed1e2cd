"""The interface that every attention layer fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError


class Maps(NamedTuple):
    """What a layer attends to. A field is None where the mechanism has no such map."""

    spatial: Float[Tensor, "b heads h w"] | None = None
    """A weight or a gate for every pixel."""
    channel: Float[Tensor, "b c"] | Float[Tensor, "b c c"] | None = None
    """A gate for every channel, or for every channel its weights of the channels (rows)."""


class AttentionLayer(nn.Module, ABC):
    """A map from features to features that weighs them by their content.

    Subclasses are found by `key`; see `pixelwise.layers.registry`.
    """

    key: ClassVar[str]
    """Name on the command line, in configs and in leaderboards."""
    cost_exponent: ClassVar[float]
    """The p for which FLOPs grow as (h * w) ** p; a test measures it."""
    reference_keys: ClassVar[Mapping[str, str]] = {}
    """Module and parameter names in the checkpoints of known sources -> names here."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Attend; see the subclass for the formula."""

    @abstractmethod
    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Attention that `forward(x)` uses, for the output pixel `at` (row, column)."""

    @classmethod
    def reference_name(cls, key: str) -> str | None:
        """Our name for `key` of a known source's checkpoint, or None if it has none here."""
        for theirs in sorted(cls.reference_keys, key=len, reverse=True):
            if key == theirs or key.startswith(theirs + "."):
                return cls.reference_keys[theirs] + key.removeprefix(theirs)
        return None

    @torch.no_grad()
    def load_reference(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load the weights of a known source; all of them must fit, or none is loaded.

        Raises:
            InputError: A weight is missing, left over, or of another shape (axes of size 1 aside).
        """
        own = self.state_dict()
        renamed: dict[str, Tensor] = {}
        surplus, misshapen = [], []
        for key, value in state_dict.items():
            name = self.reference_name(key)
            if name is None or name not in own or name in renamed:
                surplus.append(key)
                continue
            renamed[name] = value
            if _squeezed(value) != _squeezed(own[name]):
                misshapen.append(f"{key} {tuple(value.shape)} for {tuple(own[name].shape)}")
        faults = {
            "missing": [name for name in own if name not in renamed],
            "left over": surplus,
            "wrong shape": misshapen,
        }
        if any(faults.values()):
            told = "; ".join(f"{fault}: {', '.join(at)}" for fault, at in faults.items() if at)
            raise InputError(
                f"the checkpoint does not fit {type(self).__name__} ({self.key}): {told}. "
                "Build the layer with the options that the checkpoint was trained with"
            )
        self.load_state_dict({k: v.reshape(own[k].shape) for k, v in renamed.items()})


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


def _squeezed(value: Tensor) -> list[int]:
    return [size for size in value.shape if size != 1]
