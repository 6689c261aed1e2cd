"""What a split with points holds: labels per point, and the range of the values."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from pixelwise.data.each import each
from pixelwise.data.fitting import Range
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.survey import ValuesOfPicture, ValuesRead
from pixelwise.errors import InputError
from pixelwise.language import Message, message, spoken, translate

MOST_OUTSIDE = 0.2
"""Above this share of points outside their pictures, the labels are of other pictures."""


@runtime_checkable
class Figures(Protocol):
    """What `LabelledFigures` has that matters here."""

    skeleton: Skeleton
    scale: float
    name: str
    dropped: int

    @property
    def apart(self) -> bool:
        """Whether each picture is read without regard to the others."""

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
        told = [
            translate("points  {most} labels of each point in {figures} figures").format(
                most=most, figures=self.figures
            )
        ]
        if rare:
            told = [
                translate("points  {figures} figures; labels: at most {most}, {rare}").format(
                    figures=self.figures, most=most, rare=", ".join(rare)
                )
            ]
        absent = [name for name, count in zip(names, self.counts, strict=True) if not count]
        if absent:
            told.append(
                translate("points  never labelled: {absent}").format(absent=", ".join(absent))
            )
        if self.dropped:
            told.append(
                translate("points  {dropped} figures without any labelled point left out").format(
                    dropped=self.dropped
                )
            )
        if self.outside:
            told.append(
                translate(
                    "points  {outside} points outside their pictures do not count, as"
                    " {as_one}; correct or remove them"
                ).format(outside=self.outside, as_one=self.as_one)
            )
        if self.missing:
            told.append(
                translate(
                    "values  {missing} pixels without data in {pictures_missing} pictures:"
                    " filled with the mean"
                ).format(missing=self.missing, pictures_missing=self.pictures_missing)
            )
        if self.empty:
            told.append(
                translate("values  {empty} pictures without any data, as {it}").format(
                    empty=len(self.empty), it=self.empty[0]
                )
            )
        return [*told, *(translate("values  {doubt}").format(doubt=doubt) for doubt in self.doubts)]


def survey_points(
    figures: Figures, progress: Callable[[int, int], None] | None, workers: int = 0
) -> PointSurvey:
    """Read all figures; see `LabelledFigures.check`."""
    counts = np.zeros(len(figures.skeleton), np.int64)
    read = ValuesRead()
    outside, as_one = 0, ""
    with closing(each(figures, _labelled, workers)) as found:
        for i, (visible, values, away, told) in enumerate(found):
            counts += visible
            outside += away
            if told is not None and not as_one:
                as_one = spoken(told)
            read.add(values)
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


def _labelled(
    figures: Figures, index: int
) -> tuple[Int64[np.ndarray, " k"], ValuesOfPicture, int, Message | None]:
    """Labels per point, the values, points outside the picture, and one of them in words."""
    sample = figures[index]
    told = None
    if sample.outside:
        height, width = sample.image.shape[-2:]
        told = message(
            "{sample} of {name} of {width} x {height} pixels",
            sample=sample.outside[0],
            name=sample.name,
            width=width,
            height=height,
        )
    values = ValuesOfPicture.of(sample.picture, sample.name)
    visible = (sample.visible.numpy() > 0).astype(np.int64)
    return visible, values, len(sample.outside), told
