"""Whether a picture's values are like those that a network was trained on.

Between 8 and 16 bits the type says how: white is white. Nothing else is rescaled.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from pixelwise.data.decoded import WHITES
from pixelwise.data.reading import Picture, RawImage
from pixelwise.errors import InputError

FACTOR = 4.0
"""How far a picture's peak may lie from those of the training pictures."""
PADDED = 2**14
"""16-bit pictures that stay below this look like 10, 12 or 14 bits in a larger type."""
LABELS = 3
"""An 8-bit picture with no value above this is rather a mask."""


@dataclass(frozen=True)
class Range:
    """The values of pictures, raw.

    Args:
        lowest: Of all values.
        least: The lowest of the pictures' peaks.
        most: The highest of them.
    """

    lowest: float
    least: float
    most: float

    @classmethod
    def of(cls, extremes: Iterable[tuple[float, float]]) -> "Range | None":
        """From each picture's lowest and highest value."""
        pairs = list(extremes)
        if not pairs:
            return None
        peaks = [high for _, high in pairs]
        return cls(min(low for low, _ in pairs), min(peaks), max(peaks))


def extremes(picture: Picture) -> tuple[float, float] | None:
    """A picture's lowest and highest value; None where no pixel has data."""
    values = picture.values.numpy()
    if picture.missing is not None:
        values = values[:, ~picture.missing.numpy()]
    return (float(values.min()), float(values.max())) if values.size else None


@dataclass(frozen=True)
class Expected:
    """What a network takes.

    Args:
        scale: The raw value that means 1.0.
        dtype: The type of the training pictures; empty: told by `scale`.
        values: Their values (lowest, least, most); empty: told by the type.
    """

    scale: float
    dtype: str = ""
    values: tuple[float, ...] = ()

    @property
    def trained(self) -> str:
        """The type of the training pictures, empty where nobody knows it."""
        return self.dtype or next((name for name, w in WHITES.items() if w == self.scale), "")

    def fit(self, picture: Picture, name: str) -> RawImage:
        """The picture's values as the network takes them.

        Raises:
            InputError: Values that are unlike those of the training, where the type does not say
                how to rescale them.
        """
        found = extremes(picture)
        factor = 1.0 if found is None else self.factor(*found, picture.dtype, name)
        return picture.values if factor == 1 else picture.values.to(torch.float32) * factor

    def factor(self, low: float, high: float, dtype: str, name: str) -> float:
        """What values from `low` to `high` are multiplied by; raises as `fit`."""
        if dtype != self.trained and {dtype, self.trained} <= set(WHITES):
            if dtype == "uint16" and 0 < high < PADDED:
                raise InputError(
                    f"{name}: has values up to {high:g} in 16 bits, whose white may be "
                    f"{2 ** max(8, int(high).bit_length()) - 1} or 65535; the network takes "
                    f"{self.trained}: convert it, or say --as-is"
                )
            factor = self.scale / WHITES[dtype]
            self._check(low * factor, high * factor, self.trained, name)
            return factor
        self._check(low, high, dtype, name)
        return 1.0

    def check(self, values: Range, dtype: str, name: str) -> None:
        """Whether pictures with such values are like those of the training; raises as `fit`."""
        self._check(values.lowest, values.most, dtype, name)

    def _check(self, low: float, high: float, dtype: str, name: str) -> None:
        known = self._known()
        if known is None:
            return
        span = max(known.most - known.lowest, abs(known.most) * 1e-3)
        if dtype == self.trained == "uint8":
            wrong = 0 < high <= LABELS < known.least / FACTOR
        else:
            ceiling = WHITES["uint8"] if self._is_8_bit else known.most + (FACTOR - 1) * span
            floor = known.lowest - (0.05 * span if known.lowest >= 0 else span)
            dim = 0 < max(high, -low) < known.least / FACTOR
            wrong = high > ceiling or low < floor or dim
        if wrong:
            raise InputError(
                f"{name}: has values up to {high:g}, from {low:g}, but the network was trained on "
                f"{known.lowest:g} to {known.most:g}{self._kind}; convert it, or say --as-is"
            )

    @property
    def _is_8_bit(self) -> bool:
        return self.trained == "uint8" and self.scale == WHITES["uint8"]

    @property
    def _kind(self) -> str:
        return f" ({self.trained})" if self.trained else ""

    def _known(self) -> Range | None:
        if self.values:
            return Range(*self.values)
        white = WHITES.get(self.trained)
        if white is None:
            return None
        return Range(0.0, white, white) if self._is_8_bit else Range(0.0, 0.0, white)
