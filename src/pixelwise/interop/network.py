"""What a layout says of a foreign checkpoint: the network it is, and what each tensor is called."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.networks.config import ModelConfig

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Red, green, blue; of values from 0 to 1."""
BGR = (2, 1, 0)
"""The bands of a red, green, blue picture for a network that has been shown blue first."""


@dataclass(frozen=True)
class Foreign:
    """A recognised checkpoint in the terms of this package."""

    code: str
    """The code base that wrote it."""
    network: str
    """What it is, in people's words."""
    config: ModelConfig
    backbone: Mapping[str, str]
    """Key in the file -> key of timm's backbone."""
    decoder: Mapping[str, str]
    """Key in the file -> the key that the decoder's `reference_name` knows."""
    state: Mapping[str, Tensor]
    """Key in the file -> weights, as the network here needs them."""
    differences: tuple[str, ...] = ()
    """Where the codes differ, and how it was dealt with: a line each."""
    left_out: tuple[str, ...] = ()
    """Keys of the file that belong to no part of the network."""
    fresh: tuple[str, ...] = ()
    """What our names begin with where the file has no weights: initialised, not loaded."""


class CheckpointLayout(ABC):
    """How one code base names the parts of its networks."""

    name: ClassVar[str]
    """The repository, as people write it."""

    @abstractmethod
    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether the keys of a checkpoint are of this layout, even if one of them is missing."""

    @abstractmethod
    def read(self, checkpoint: Checkpoint) -> Foreign:
        """The network that the checkpoint holds.

        Raises:
            InputError: A network of this code base that is not supported, or too much is missing.
        """


def split(keys: Iterable[str], *prefixes: str) -> dict[str, str]:
    """Keys that begin with one of the prefixes -> what follows it."""
    found = {}
    for key in keys:
        prefix = next((p for p in prefixes if key.startswith(p)), None)
        if prefix is not None:
            found[key] = key.removeprefix(prefix)
    return found


def begins(keys: Iterable[str], *prefixes: str) -> bool:
    """Whether any key begins with any of the prefixes."""
    return any(key.startswith(prefixes) for key in keys)


def width(state: Mapping[str, Tensor], *keys: str, axis: int = 0) -> int:
    """The size of the first of these tensors that there is and has that axis.

    Raises:
        InputError: There is none of them.
    """
    for key in keys:
        if key in state and state[key].ndim > axis:
            return state[key].shape[axis]
    raise InputError(
        f"{keys[0]}: missing, and without it the network cannot be told; get the whole file"
    )
