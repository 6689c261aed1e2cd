"""What a split with points holds: labels per point, and the range of the values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from pixelwise.data.fitting import Range
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.survey import ValuesRead
from pixelwise.errors import InputError

MOST_OUTSIDE = 0.2
"""Above this share of points outside their pictures, the labels are of other pictures."""


@runtime_checkable
class Figures(Protocol):
    """What `LabelledFigures` has that matters here."""

    skeleton: Skeleton
    scale: float
    name: str
    dropped: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


@dataclass(frozen=True)
class PointSurvey:
    """What was read.

    Args:
        counts: Labels per point.
        figures: How many things there are.
        dtype: The type of the values where all pictures have the same, else empty.
        values: The range of the values; None: there is none.
        dropped: Things without any labelled point, left out.
        missing: Pixels without data.
        pictures_missing: In how many samples.
        empty: Pictures in which no pixel has data.
        doubts: Lines about values that may not be meant.
        outside: Points outside their pictures, which do not count.
        as_one: One of them, in words.
    """

    counts: tuple[int, ...]
    figures: int
    dtype: str
    values: Range | None
    dropped: int = 0
    missing: int = 0
    pictures_missing: int = 0
    empty: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    outside: int = 0
    as_one: str = ""

    def lines(self, names: tuple[str, ...]) -> list[str]:
        """The survey for people, a line each."""
        most = max(self.counts)
        rare = [
            f"{name} {count}"
            for name, count in zip(names, self.counts, strict=True)
            if count < most
        ]
        told = [f"points  {most} labels of each point in {self.figures} figures"]
        if rare:
            told = [f"points  {self.figures} figures; labels: at most {most}, {', '.join(rare)}"]
        absent = [name for name, count in zip(names, self.counts, strict=True) if not count]
        if absent:
            told.append(f"points  never labelled: {', '.join(absent)}")
        if self.dropped:
            told.append(f"points  {self.dropped} figures without any labelled point left out")
        if self.outside:
            told.append(
                f"points  {self.outside} points outside their pictures do not count, as"
                f" {self.as_one}; correct or remove them"
            )
        if self.missing:
            told.append(
                f"values  {self.missing} pixels without data in {self.pictures_missing} pictures:"
                " filled with the mean"
            )
        if self.empty:
            told.append(f"values  {len(self.empty)} pictures without any data, as {self.empty[0]}")
        return [*told, *(f"values  {doubt}" for doubt in self.doubts)]


def survey_points(figures: Figures, progress: Callable[[int, int], None] | None) -> PointSurvey:
    """Read all figures; see `LabelledFigures.check`."""
    counts = torch.zeros(len(figures.skeleton), dtype=torch.int64)
    read = ValuesRead()
    outside, as_one = 0, ""
    for i in range(len(figures)):
        sample = figures[i]
        counts += sample.visible > 0
        if sample.outside and not as_one:
            height, width = sample.image.shape[-2:]
            as_one = f"{sample.outside[0]} of {sample.name} of {width} x {height} pixels"
        outside += len(sample.outside)
        read.add(sample.picture, sample.name)
        if progress is not None:
            progress(i + 1, len(figures))
    if outside > MOST_OUTSIDE * (outside + int(counts.sum())):
        raise InputError(
            f"{figures.name}: {outside} of {outside + int(counts.sum())} points lie outside their"
            f" pictures, as {as_one}; label pictures as they are shown (after their EXIF rotation),"
            " at their full size"
        )
    if not counts.any():
        raise InputError(f"{figures.name}: no point is labelled anywhere; look at the labels")
    return PointSurvey(
        tuple(counts.tolist()), len(figures), read.dtype, read.values, figures.dropped,
        read.missing, read.pictures_missing, tuple(read.empty), read.doubts(figures.scale),
        outside, as_one,
    )  # fmt: skip
