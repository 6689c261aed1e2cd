"""What a split with points holds: labels per point, and the range of the values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from pixelwise.data.fitting import Range, extremes
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.errors import InputError


@runtime_checkable
class Figures(Protocol):
    """What `LabelledFigures` has that matters here."""

    skeleton: Skeleton
    name: str

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
    """

    counts: tuple[int, ...]
    figures: int
    dtype: str
    values: Range | None

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
        return told


def survey_points(figures: Figures, progress: Callable[[int, int], None] | None) -> PointSurvey:
    """Read all figures; see `LabelledFigures.check`."""
    counts = torch.zeros(len(figures.skeleton), dtype=torch.int64)
    pairs, types = [], set()
    for i in range(len(figures)):
        sample = figures[i]
        counts += sample.visible > 0
        types.add(sample.picture.dtype)
        if (pair := extremes(sample.picture)) is not None:
            pairs.append(pair)
        if progress is not None:
            progress(i + 1, len(figures))
    if not counts.any():
        raise InputError(f"{figures.name}: no point is labelled anywhere; look at the labels")
    dtype = types.pop() if len(types) == 1 else ""
    return PointSurvey(tuple(counts.tolist()), len(figures), dtype, Range.of(pairs))
