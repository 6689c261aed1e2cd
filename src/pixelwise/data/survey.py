"""What a split holds: pixels per class, without data, and the range of the values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64

from pixelwise.data.classes import Classes
from pixelwise.data.decoded import WHITES
from pixelwise.data.fitting import PADDED, Range, extremes
from pixelwise.data.reading import Picture
from pixelwise.errors import InputError

SENTINELS = frozenset(
    float(np.float32(value))
    for value in (-9999, -32768, -32767, -99999, -999999, -9999999, 1e20, -1e20)
)
"""Values that rasters are filled with where there is no data."""
HUGE = 1e30
"""No picture has such values: the ends of float32 stand for "no data"."""
FAR = 5.0
"""A value that lies so many times the others' range away from them is told."""
LISTED = 6


@runtime_checkable
class Labelled(Protocol):
    """What `LabelledPictures` has that matters here."""

    scale: float
    name: str

    @property
    def classes(self) -> Classes:
        """Names of what the masks hold."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


@dataclass(frozen=True)
class Survey:
    """What was read.

    Args:
        counts: Pixels per class.
        ignored: Pixels that do not count.
        missing: Pixels without data, among them.
        pictures_missing: How many pictures have some.
        empty: Pictures in which no pixel has data.
        dtype: The type of the values where all pictures have the same, else empty.
        values: The range of the values; None: there is none.
        doubts: Lines about values that may not be meant.
        notes: Lines about shapes that were left out.
        by_picture: `counts` of each picture.
    """

    counts: tuple[int, ...]
    ignored: int
    missing: int
    pictures_missing: int
    empty: tuple[str, ...]
    dtype: str
    values: Range | None
    doubts: tuple[str, ...]
    notes: tuple[str, ...] = ()
    by_picture: Int64[np.ndarray, "pictures k"] | None = field(default=None, compare=False)

    def lines(self, names: tuple[str, ...]) -> list[str]:
        """The survey for people, a line each."""
        counted = sum(self.counts)
        shares = [
            f"{name} {100 * count / counted:.3g} %"
            for name, count in sorted(
                zip(names, self.counts, strict=True), key=lambda pair: -pair[1]
            )
            if count
        ]
        more = f" and {len(shares) - 2 * LISTED} more" if len(shares) > 2 * LISTED else ""
        pixels = counted + self.ignored
        told = [
            f"masks   {', '.join(shares[: 2 * LISTED]) or 'nothing'}{more}; ignored "
            f"{100 * self.ignored / max(1, pixels):.3g} % of all pixels"
        ]
        absent = [name for name, count in zip(names, self.counts, strict=True) if not count]
        if absent:
            more = ", ..." if len(absent) > LISTED else ""
            told.append(
                f"masks   classes without a pixel: {len(absent)} of {len(names)}"
                f" ({', '.join(absent[:LISTED])}{more})"
            )
        if self.missing:
            told.append(
                f"values  {self.missing} of {pixels} pixels without data in"
                f" {self.pictures_missing} pictures: filled with the mean, ignored in the masks"
            )
        if self.empty:
            told.append(f"values  {len(self.empty)} pictures without any data, as {self.empty[0]}")
        told += [f"masks   {note}" for note in self.notes]
        return [*told, *(f"values  {doubt}" for doubt in self.doubts)]


class ValuesRead:
    """Collects what the values of many pictures are, one picture after another."""

    def __init__(self) -> None:
        self.pixels = self.missing = self.pictures_missing = 0
        self.empty: list[str] = []
        self._pairs: list[tuple[float, float]] = []
        self._types: set[str] = set()
        self._doubts: list[str] = []

    def add(self, picture: Picture, name: str) -> None:
        """Take a picture into account.

        Raises:
            InputError: It has a value that rasters are filled with where there is no data.
        """
        if (doubt := _doubt(picture, name)) and not self._doubts:
            self._doubts.append(doubt)
        self.pixels += picture.values[0].numel()
        if picture.missing is not None:
            self.missing += int(picture.missing.sum())
            self.pictures_missing += 1
        self._types.add(picture.dtype)
        if (pair := extremes(picture)) is None:
            self.empty.append(name)
        else:
            self._pairs.append(pair)

    @property
    def dtype(self) -> str:
        """The type that all pictures have, else empty."""
        return next(iter(self._types)) if len(self._types) == 1 else ""

    @property
    def values(self) -> Range | None:
        """The range of all values."""
        return Range.of(self._pairs)

    def doubts(self, scale: float) -> tuple[str, ...]:
        """Lines about values that may not be meant, where `scale` is white."""
        found = self.values
        if self.dtype != "uint16" or not found or found.most >= PADDED or scale != WHITES["uint16"]:
            return tuple(self._doubts)
        white = 2 ** max(8, int(found.most).bit_length()) - 1
        return (
            *self._doubts,
            f"up to {found.most:g} in 16 bits: if white is {white}, write scale: {white} into"
            " data.yaml",
        )


IGNORED = "if the ignored values mean a class, say so, e.g. map: {0: 0, 255: 1}"


def survey(
    pictures: Labelled, progress: Callable[[int, int], None] | None, remedy: str = IGNORED
) -> Survey:
    """Read all pictures; see `LabelledPictures.check`.

    Args:
        pictures: What to read.
        progress: Called with (pictures done, pictures in all) after each.
        remedy: What to do if only one class is there, and other pixels are ignored.
    """
    by_picture = torch.zeros(len(pictures), len(pictures.classes), dtype=torch.int64)
    ignored = 0
    read = ValuesRead()
    for i in range(len(pictures)):
        sample = pictures[i]
        read.add(sample.picture, sample.name)
        counted = sample.mask[sample.mask != pictures.classes.ignore_index]
        by_picture[i] = torch.bincount(counted, minlength=by_picture.shape[1])
        ignored += sample.mask.numel() - counted.numel()
        if progress is not None:
            progress(i + 1, len(pictures))
    counts = by_picture.sum(0)
    _check_labels(pictures, counts, ignored, remedy)
    return Survey(
        tuple(counts.tolist()), ignored, read.missing, read.pictures_missing, tuple(read.empty),
        read.dtype, read.values, read.doubts(pictures.scale), by_picture=by_picture.numpy(),
    )  # fmt: skip


def values_of(pictures: Labelled, count: int = 64) -> tuple[str, Range | None]:
    """The type and the range of at most `count` pictures, evenly spaced in the split."""
    number = min(count, len(pictures))
    chosen = [pictures[i * len(pictures) // number].picture for i in range(number)]
    types = {picture.dtype for picture in chosen}
    found = [pair for picture in chosen if (pair := extremes(picture)) is not None]
    return (types.pop() if len(types) == 1 else ""), Range.of(found)


def _check_labels(pictures: Labelled, counts: torch.Tensor, ignored: int, remedy: str) -> None:
    present = counts.nonzero().flatten().tolist()
    if ignored and len(present) < 2:
        only = f"of class {pictures.classes.names[present[0]]!r} or " if present else ""
        raise InputError(
            f"{pictures.name}: every pixel is {only}ignored (mask value "
            f"{pictures.classes.ignore_index} unless `map:` says otherwise, or no data); {remedy}"
        )


def _doubt(picture: Picture, name: str) -> str | None:
    """A line where the lowest or highest value stands apart from all others.

    Raises:
        InputError: It is one that rasters are filled with where there is no data.
    """
    values = picture.values.numpy()
    if picture.dtype == "uint8" or (found := extremes(picture)) is None:
        return None
    if picture.missing is not None:
        values = values[:, ~picture.missing.numpy()]
    for end in found:
        others = values[values != values.dtype.type(end)]
        if not others.size:
            continue
        low, high = float(others.min()), float(others.max())
        gap = low - end if end < low else end - high
        if (end in SENTINELS and gap > abs(end) / 2) or abs(end) >= HUGE:
            raise InputError(
                f"{name}: has values of {end:g}, the others are {low:g} to {high:g}; if that means "
                f"no data, write nodata: {end:g} into data.yaml"
            )
        if gap > FAR * (high - low) > 0:
            return (
                f"{end:g} in {name} is far from all others ({low:g} to {high:g}); if it means no"
                f" data, write nodata: {end:g} into data.yaml"
            )
    return None
