"""What a file that was opened can do: numbers in, numbers out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pixelwise.errors import InputError

NAMES = ("logits", "out", "output", "probabilities", "answer")
"""Which of several outputs is meant, the first of them that there is."""
MOST_BANDS = 4
"""So many bands stand last where a picture is (rows, columns, bands)."""


@dataclass(frozen=True)
class Input:
    """What a file takes; None is free.

    Args:
        batch: Pictures at a time.
        bands: Of a picture.
        height: Rows.
        width: Columns.
        dtype: Of the values.
        bands_last: Whether it is (n, h, w, c) rather than (n, c, h, w).
    """

    batch: int | None = None
    bands: int | None = None
    height: int | None = None
    width: int | None = None
    dtype: torch.dtype = torch.float32
    bands_last: bool = False

    @classmethod
    def of(cls, shape: tuple[int | None, ...], dtype: torch.dtype) -> "Input":
        """From the axes of a tensor."""
        second, last = shape[1], shape[3]
        if last is not None and last <= MOST_BANDS and (second is None or second > MOST_BANDS):
            return cls(shape[0], last, shape[1], shape[2], dtype, bands_last=True)
        return cls(shape[0], second, shape[2], last, dtype)


@runtime_checkable
class Runner(Protocol):
    """An opened file."""

    name: str
    kind: str
    """What runs it."""
    input: Input

    @property
    def told(self) -> Mapping[str, str]:
        """What the file says of itself."""

    def __call__(self, values: Tensor, device: torch.device) -> Tensor:
        """One batch, as the file takes and gives it."""


def chosen(names: list[str], name: str) -> int:
    """Which of the outputs is meant.

    Raises:
        InputError: It cannot be told.
    """
    if len(names) == 1:
        return 0
    for known in NAMES:
        if known in names:
            return names.index(known)
    raise InputError(
        f"{name}: has {len(names)} outputs ({', '.join(names[:6])}) and none is called"
        f" {NAMES[0]!r}; export it with that one alone"
    )
