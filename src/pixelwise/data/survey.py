"""What a split holds: pixels per class, without data, and the range of the values."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from pixelwise.data.classes import Classes
from pixelwise.data.decoded import WHITES
from pixelwise.data.each import each
from pixelwise.data.fitting import PADDED, Range, extremes
from pixelwise.data.reading import Picture
from pixelwise.errors import InputError
from pixelwise.language import Message, message, spoken, translate

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
    def apart(self) -> bool:
        """Whether each picture is read without regard to the others."""

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
        more = (
            translate(" and {amount} more").format(amount=len(shares) - 2 * LISTED)
            if len(shares) > 2 * LISTED
            else ""
        )
        pixels = counted + self.ignored
        told = [
            translate("masks   {what}{more}; ignored {ignored:.3g} % of all pixels").format(
                what=", ".join(shares[: 2 * LISTED]) or "nothing",
                more=more,
                ignored=100 * self.ignored / max(1, pixels),
            )
        ]
        absent = [name for name, count in zip(names, self.counts, strict=True) if not count]
        if absent:
            more = ", ..." if len(absent) > LISTED else ""
            told.append(
                translate(
                    "masks   classes without a pixel: {absent} of {names} ({join}{more})"
                ).format(
                    absent=len(absent), names=len(names), join=", ".join(absent[:LISTED]), more=more
                )
            )
        if self.missing:
            told.append(
                translate(
                    "values  {missing} of {pixels} pixels without data in {pictures_missing}"
                    " pictures: filled with the mean, ignored in the masks"
                ).format(
                    missing=self.missing, pixels=pixels, pictures_missing=self.pictures_missing
                )
            )
        if self.empty:
            told.append(
                translate("values  {empty} pictures without any data, as {it}").format(
                    empty=len(self.empty), it=self.empty[0]
                )
            )
        told += [translate("masks   {note}").format(note=note) for note in self.notes]
        return [*told, *(translate("values  {doubt}").format(doubt=doubt) for doubt in self.doubts)]


@dataclass(frozen=True)
class ValuesOfPicture:
    """What the values of one picture are.

    Args:
        name: For messages.
        dtype: Their type.
        pixels: How many there are.
        missing: Of them without data; None: all have some.
        ends: The lowest and the highest value; None: no pixel has data.
        doubt: A line about values that may not be meant.
    """

    name: str
    dtype: str
    pixels: int
    missing: int | None
    ends: tuple[float, float] | None
    doubt: Message | None

    @classmethod
    def of(cls, picture: Picture, name: str) -> "ValuesOfPicture":
        """What a picture holds.

        Raises:
            InputError: It has a value that rasters are filled with where there is no data.
        """
        missing = None if picture.missing is None else int(picture.missing.numpy().sum())
        ends = extremes(picture)
        pixels = picture.values[0].numel()
        return cls(name, picture.dtype, pixels, missing, ends, _doubt(picture, ends, name))


class ValuesRead:
    """Collects what the values of many pictures are, one picture after another."""

    def __init__(self) -> None:
        self.pixels = self.missing = self.pictures_missing = 0
        self.empty: list[str] = []
        self._pairs: list[tuple[float, float]] = []
        self._types: set[str] = set()
        self._doubts: list[str] = []

    def add(self, found: ValuesOfPicture) -> None:
        """Take a picture into account."""
        if found.doubt is not None and not self._doubts:
            self._doubts.append(spoken(found.doubt))
        self.pixels += found.pixels
        if found.missing is not None:
            self.missing += found.missing
            self.pictures_missing += 1
        self._types.add(found.dtype)
        if found.ends is None:
            self.empty.append(found.name)
        else:
            self._pairs.append(found.ends)

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
            translate(
                "up to {most:g} in 16 bits: if white is {white}, write scale: {white}"
                " into data.yaml"
            ).format(most=found.most, white=white),
        )


IGNORED = "if the ignored values mean a class, say so, e.g. map: {0: 0, 255: 1}"


def survey(
    pictures: Labelled,
    progress: Callable[[int, int], None] | None,
    remedy: str = IGNORED,
    workers: int = 0,
) -> Survey:
    """Read all pictures; see `LabelledPictures.check`.

    Args:
        pictures: What to read.
        progress: Called with (pictures done, pictures in all) after each.
        remedy: What to do if only one class is there, and other pixels are ignored.
        workers: See `each`.
    """
    by_picture = np.zeros((len(pictures), len(pictures.classes)), np.int64)
    ignored = 0
    read = ValuesRead()
    with closing(each(pictures, _counted, workers)) as found:
        for i, (values, counts, unknown) in enumerate(found):
            read.add(values)
            by_picture[i] = counts
            ignored += unknown
            if progress is not None:
                progress(i + 1, len(pictures))
    counts = by_picture.sum(0)
    _check_labels(pictures, counts, ignored, remedy)
    return Survey(
        tuple(counts.tolist()), ignored, read.missing, read.pictures_missing, tuple(read.empty),
        read.dtype, read.values, read.doubts(pictures.scale), by_picture=by_picture,
    )  # fmt: skip


def _counted(
    pictures: Labelled, index: int
) -> tuple[ValuesOfPicture, Int64[np.ndarray, " k"], int]:
    """The values of a picture, its pixels per class, and how many do not count."""
    sample = pictures[index]
    values = ValuesOfPicture.of(sample.picture, sample.name)
    mask = sample.mask.numpy()
    counted = mask[mask != pictures.classes.ignore_index]
    counts = np.bincount(counted, minlength=len(pictures.classes)).astype(np.int64, copy=False)
    return values, counts, mask.size - counted.size


def values_of(pictures: Labelled, count: int = 64) -> tuple[str, Range | None]:
    """The type and the range of at most `count` pictures, evenly spaced in the split."""
    number = min(count, len(pictures))
    chosen = [pictures[i * len(pictures) // number].picture for i in range(number)]
    types = {picture.dtype for picture in chosen}
    found = [pair for picture in chosen if (pair := extremes(picture)) is not None]
    return (types.pop() if len(types) == 1 else ""), Range.of(found)


def _check_labels(
    pictures: Labelled, counts: Int64[np.ndarray, " k"], ignored: int, remedy: str
) -> None:
    present = np.flatnonzero(counts).tolist()
    if ignored and len(present) < 2:
        only = f"of class {pictures.classes.names[present[0]]!r} or " if present else ""
        raise InputError(
            f"{pictures.name}: every pixel is {only}ignored (mask value "
            f"{pictures.classes.ignore_index} unless `map:` says otherwise, or no data); {remedy}"
        )


def _doubt(picture: Picture, found: tuple[float, float] | None, name: str) -> Message | None:
    """A line where the lowest or highest value stands apart from all others.

    Raises:
        InputError: It is one that rasters are filled with where there is no data.
    """
    if picture.dtype == "uint8" or found is None:
        return None
    values = picture.values.numpy()
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
            return message(
                "{end:g} in {name} is far from all others ({low:g} to {high:g}); if it"
                " means no data, write nodata: {end:g} into data.yaml",
                end=end,
                name=name,
                low=low,
                high=high,
            )
    return None
