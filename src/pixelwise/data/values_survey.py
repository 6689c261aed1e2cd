"""What a split with values holds: the range of each band, and how much of it is known."""

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pixelwise.data.each import each
from pixelwise.data.fitting import Range
from pixelwise.data.quantities import Quantity
from pixelwise.data.survey import FAR, HUGE, SENTINELS, ValuesOfPicture, ValuesRead
from pixelwise.errors import InputError
from pixelwise.language import Message, message, spoken, translate

NEAR_ZERO = 0.02
"""A raw 0 that lies more than this share of the range below all others may mean "unknown"."""


@runtime_checkable
class Pictures(Protocol):
    """What a split with values has that matters here."""

    scale: float
    name: str

    @property
    def apart(self) -> bool:
        """Whether each picture is read without regard to the others."""

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
        return translate(
            "masks   {name} from {low:.4g} to {high:.4g}{unit}, mean {mean:.4g}, std"
            " {std:.3g}; unknown {known:.3g} % of all pixels"
        ).format(
            name=self.quantity.name,
            low=self.low,
            high=self.high,
            unit=unit,
            mean=self.mean,
            std=self.std,
            known=100 * (1 - self.known / max(1, pixels)),
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
                translate(
                    "values  {missing} of {pixels} pixels without data in {pictures_missing}"
                    " pictures: filled with the mean, unknown in the masks"
                ).format(
                    missing=self.read.missing,
                    pixels=self.read.pixels,
                    pictures_missing=self.read.pictures_missing,
                )
            )
        if self.read.empty:
            empty = self.read.empty
            told.append(
                translate("values  {empty} pictures without any data, as {empty2}").format(
                    empty=len(empty), empty2=empty[0]
                )
            )
        return [*told, *(translate("values  {doubt}").format(doubt=doubt) for doubt in self.told)]


def survey_values(
    pictures: Pictures,
    quantities: tuple[Quantity, ...],
    progress: Callable[[int, int], None] | None,
    workers: int = 0,
) -> ValuesSurvey:
    """Read all pictures and their masks; `workers` as of `each`."""
    read = ValuesRead()
    sums = [_Sums() for _ in quantities]
    doubts: list[str] = []
    with closing(each(pictures, partial(_measured, quantities), workers)) as found:
        for i, (values, bands) in enumerate(found):
            read.add(values)
            for band, one in zip(bands, sums, strict=True):
                if band is not None:
                    one.add(band)
            doubts += [spoken(b.doubt) for b in bands if b is not None and b.doubt is not None]
            if progress is not None:
                progress(i + 1, len(pictures))
    for quantity, one in zip(quantities, sums, strict=True):
        if not one.known:
            raise InputError(
                f"{pictures.name}: {quantity.name} is known at no pixel (NaN, infinite, the files'"
                " own nodata and values_nodata never are); look at the masks"
            )
    told = tuple(one.band(quantity) for quantity, one in zip(quantities, sums, strict=True))
    return ValuesSurvey(told, read, (*doubts[:1], *read.doubts(pictures.scale)))


@dataclass(frozen=True)
class _Moments:
    """Of the known values of a band in one picture."""

    known: int
    mean: float
    squares: float
    low: float
    high: float
    doubt: Message | None


def _measured(
    quantities: tuple[Quantity, ...], pictures: Pictures, index: int
) -> tuple[ValuesOfPicture, list[_Moments | None]]:
    """The values of a picture, and those of each band of its mask; None: nothing is known."""
    sample = pictures[index]
    values = ValuesOfPicture.of(sample.picture, sample.name)
    found: list[_Moments | None] = []
    for quantity, band in zip(quantities, sample.mask.numpy(), strict=True):
        known = band[np.isfinite(band)].astype(np.float64)
        if not known.size:
            found.append(None)
            continue
        mean = float(known.mean())
        squares = float(((known - mean) ** 2).sum())
        ends = float(known.min()), float(known.max())
        doubt = _doubt(known, quantity, sample.name)
        found.append(_Moments(known.size, mean, squares, *ends, doubt))
    return values, found


class _Sums:
    """Moments of many values, picture by picture; exact merging of mean and variance."""

    def __init__(self) -> None:
        self.known, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, one: _Moments) -> None:
        """Take the known values of one picture into account."""
        apart = one.mean - self.mean
        total = self.known + one.known
        self.squares += one.squares
        self.squares += apart**2 * self.known * one.known / total
        self.mean += apart * one.known / total
        self.known = total
        self.low = min(self.low, one.low)
        self.high = max(self.high, one.high)

    def band(self, quantity: Quantity) -> Band:
        """The numbers."""
        std = math.sqrt(self.squares / self.known)
        return Band(quantity, self.known, self.low, self.high, self.mean, std)


def _doubt(known: Any, quantity: Quantity, name: str) -> Message | None:
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
        line = message(
            "{name} of {name2} has raw values of {raw:g}, the others are {low:g} to"
            " {high:g}; if that means unknown, write values_nodata: {raw:g} into"
            " data.yaml",
            name=quantity.name,
            name2=name,
            raw=raw,
            low=low,
            high=high,
        )
        if (filled and gap > abs(raw) / 2) or abs(raw) >= HUGE:
            raise InputError(spoken(line))
        zero = abs(raw) < 1e-6 * max(abs(low), abs(high)) and gap > NEAR_ZERO * (high - low)
        if gap > FAR * (high - low) > 0 or zero:
            return line
    return None
