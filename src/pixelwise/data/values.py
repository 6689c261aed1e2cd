"""From the raw values or colours of a mask file to class ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.classes import Classes, Colour
from pixelwise.errors import InputError

UNKNOWN = -1
SHOWN = 8


@dataclass(frozen=True)
class ValueMap:
    """What every raw value stands for.

    Args:
        values: Raw number -> class id or ignore index, for masks with one value per pixel.
        colours: (red, green, blue) -> class id or ignore index, for coloured masks.
        written_in: The file that states the map, for messages.
    """

    values: dict[int, int]
    colours: dict[Colour, int]
    written_in: str

    @classmethod
    def identity(cls, classes: Classes, written_in: str) -> "ValueMap":
        """Values are ids already, and the ignore index stays."""
        ids = (*range(len(classes)), classes.ignore_index)
        return cls({i: i for i in ids}, {}, written_in)

    @property
    def by_colour(self) -> bool:
        """Whether masks must be read as colours: no number means anything."""
        return not self.values

    def apply(
        self, raw: NDArray[Any], file: Path, *, nodata: tuple[int, int] | None = None
    ) -> Int64[Tensor, "h w"]:
        """The mask as class ids.

        Args:
            raw: As `read_mask` returns it.
            file: For messages.
            nodata: A value that means "no data" where the map does not have it, and its target.

        Raises:
            InputError: A value or colour that the map does not have; names the file, the values
                and how many pixels have each.
        """
        if raw.ndim == 2 and self.by_colour:
            raw = np.repeat(raw[..., None], 3, axis=2)
        if raw.ndim == 3 and not self.colours:
            if (raw != raw[..., :1]).any():
                raise InputError(
                    f"{file}: is coloured; add its colours to `map:` in {self.written_in} as "
                    f'"#rrggbb": id'
                )
            raw = raw[..., 0]
        coloured = raw.ndim == 3
        if coloured:
            red, green, blue = np.moveaxis(raw.astype(np.int64), 2, 0)
            raw = red << 16 | green << 8 | blue
            ids = _look_up({_code(c): target for c, target in self.colours.items()}, raw)
        elif raw.dtype == np.uint8:
            ids = _look_up(self.values, np.arange(256))[raw]
        else:
            ids = _look_up(self.values, raw.astype(np.int64))
        unlisted = ids == UNKNOWN
        if nodata is not None and not coloured:
            ids[unlisted & (raw == nodata[0])] = nodata[1]
            unlisted = ids == UNKNOWN
        if unlisted.any():
            found, counts = np.unique(raw[unlisted], return_counts=True)
            raise self._error(file, found.tolist(), counts.tolist(), coloured=coloured)
        return torch.from_numpy(ids)

    def _error(
        self, file: Path, found: list[int], counts: list[int], *, coloured: bool
    ) -> InputError:
        names = [f'"#{value:06x}"' if coloured else str(value) for value in found]
        shown = list(zip(names, counts, strict=True))[:SHOWN]
        listed = ", ".join(f"{name} ({count} pixels)" for name, count in shown)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return InputError(
            f"{file}: has values that {self.written_in} does not list: {listed}{more}; "
            f"say what they mean under `map:`, e.g. {names[0]}: ignore"
        )


def _code(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _look_up(known: dict[int, int], raw: NDArray[np.int64]) -> NDArray[np.int64]:
    """The target of each raw value, UNKNOWN where there is none."""
    keys = np.array(sorted(known), np.int64)
    targets = np.array([known[key] for key in keys.tolist()], np.int64)
    place = np.minimum(np.searchsorted(keys, raw), len(keys) - 1)
    return np.where(keys[place] == raw, targets[place], UNKNOWN)
