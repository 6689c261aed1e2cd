"""What a split with values holds: the range of each band, and how much of it is known."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pixelwise.data.fitting import Range
from pixelwise.data.quantities import Quantity
from pixelwise.data.survey import FAR, HUGE, SENTINELS, ValuesRead
from pixelwise.errors import InputError

NEAR_ZERO = 0.02
"""A raw 0 that lies more than this share of the range below all others may mean "unknown"."""


@runtime_checkable
class Pictures(Protocol):
    """What a split with values has that matters here."""

    scale: float
    name: str

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


@dataclass(frozen=True)
class Band:
    """Numbers of one band.

    Args:
        quantity: What it is.
        known: Pixels with a value.
        low: The lowest value; `high` the highest.
        high: See `low`.
        mean: Of all values; `std` their standard deviation.
        std: See `mean`.
    """

    quantity: Quantity
    known: int
    low: float
    high: float
    mean: float
    std: float

    def line(self, pixels: int) -> str:
        """For people."""
        unit = f" {self.quantity.unit}" if self.quantity.unit else ""
        return (
            f"masks   {self.quantity.name} from {self.low:.4g} to {self.high:.4g}{unit}, mean"
            f" {self.mean:.4g}, std {self.std:.3g}; unknown"
            f" {100 * (1 - self.known / max(1, pixels)):.3g} % of all pixels"
        )


@dataclass(frozen=True)
class ValuesSurvey:
    """What was read.

    Args:
        bands: Of the masks.
        read: What the pictures hold.
        told: Lines about values that may not be meant.
    """

    bands: tuple[Band, ...]
    read: ValuesRead
    told: tuple[str, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Known pixels per band."""
        return tuple(band.known for band in self.bands)

    @property
    def dtype(self) -> str:
        """The type of the pictures' values where all have the same, else empty."""
        return self.read.dtype

    @property
    def values(self) -> Range | None:
        """The range of the pictures' values."""
        return self.read.values

    def lines(self, names: tuple[str, ...]) -> list[str]:
        """The survey for people, a line each."""
        told = [band.line(self.read.pixels) for band in self.bands]
        if self.read.missing:
            told.append(
                f"values  {self.read.missing} of {self.read.pixels} pixels without data in"
                f" {self.read.pictures_missing} pictures: filled with the mean, unknown in the"
                " masks"
            )
        if self.read.empty:
            empty = self.read.empty
            told.append(f"values  {len(empty)} pictures without any data, as {empty[0]}")
        return [*told, *(f"values  {doubt}" for doubt in self.told)]


def survey_values(
    pictures: Pictures,
    quantities: tuple[Quantity, ...],
    progress: Callable[[int, int], None] | None,
) -> ValuesSurvey:
    """Read all pictures and their masks."""
    read = ValuesRead()
    sums = [_Sums() for _ in quantities]
    doubts: list[str] = []
    for i in range(len(pictures)):
        sample = pictures[i]
        read.add(sample.picture, sample.name)
        for quantity, band, one in zip(quantities, sample.mask.numpy(), sums, strict=True):
            known = band[np.isfinite(band)].astype(np.float64)
            if known.size:
                if (doubt := _doubt(known, quantity, sample.name)) and not doubts:
                    doubts.append(doubt)
                one.add(known)
        if progress is not None:
            progress(i + 1, len(pictures))
    for quantity, one in zip(quantities, sums, strict=True):
        if not one.known:
            raise InputError(
                f"{pictures.name}: {quantity.name} is known at no pixel (NaN, infinite, the files'"
                " own nodata and values_nodata never are); look at the masks"
            )
    bands = tuple(one.band(quantity) for quantity, one in zip(quantities, sums, strict=True))
    return ValuesSurvey(bands, read, (*doubts, *read.doubts(pictures.scale)))


class _Sums:
    """Moments of many values, picture by picture; exact merging of mean and variance."""

    def __init__(self) -> None:
        self.known, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, values: Any) -> None:
        """Take the known values of one picture into account."""
        count, mean = values.size, float(values.mean())
        apart = mean - self.mean
        total = self.known + count
        self.squares += float(((values - mean) ** 2).sum())
        self.squares += apart**2 * self.known * count / total
        self.mean += apart * count / total
        self.known = total
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def band(self, quantity: Quantity) -> Band:
        """The numbers."""
        std = math.sqrt(self.squares / self.known)
        return Band(quantity, self.known, self.low, self.high, self.mean, std)


def _doubt(known: Any, quantity: Quantity, name: str) -> str | None:
    """A line where the lowest or highest value stands apart from all others.

    Raises:
        InputError: It is one that rasters are filled with where nothing is known.
    """
    for end in (float(known.min()), float(known.max())):
        raw = quantity.raw(end)
        others = known[known != end]
        if not others.size:
            continue
        low, high = (quantity.raw(float(value)) for value in (others.min(), others.max()))
        low, high = min(low, high), max(low, high)
        gap = low - raw if raw < low else raw - high
        filled = any(math.isclose(raw, value, rel_tol=1e-6) for value in SENTINELS)
        line = (
            f"{quantity.name} of {name} has raw values of {raw:g}, the others are {low:g} to"
            f" {high:g}; if that means unknown, write values_nodata: {raw:g} into data.yaml"
        )
        if (filled and gap > abs(raw) / 2) or abs(raw) >= HUGE:
            raise InputError(line)
        zero = abs(raw) < 1e-6 * max(abs(low), abs(high)) and gap > NEAR_ZERO * (high - low)
        if gap > FAR * (high - low) > 0 or zero:
            return line
    return None
