"""What a split with labels holds: how much of the pictures each covers, and what may not be meant.

Shares are of the pixels where a label is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Int64

from pixelwise.data.fitting import Range
from pixelwise.data.survey import LISTED, Labelled, ValuesRead
from pixelwise.errors import InputError


@dataclass(frozen=True)
class LabelsSurvey:
    """What was read.

    Args:
        counts: Pixels where a label is.
        known: Pixels where it is known whether it is.
        pictures: How many pictures a label is in.
        overlapping: Pixels with two labels or more.
        without: Pixels with none, all of which are known.
        read: What the pictures hold.
        told: Lines about masks that may not be meant.
        by_picture: `counts` of each picture.
    """

    counts: tuple[int, ...]
    known: tuple[int, ...]
    pictures: tuple[int, ...]
    overlapping: int
    without: int
    read: ValuesRead
    told: tuple[str, ...]
    by_picture: Int64[np.ndarray, "pictures k"] | None = field(default=None, compare=False)

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
        pixels = self.read.pixels
        numbered = sorted(
            zip(names, self.counts, self.known, self.pictures, strict=True),
            key=lambda one: -one[1] / one[2],
        )
        shares = [
            f"{name} {100 * count / known:.3g} % (in {pictures} pictures)"
            for name, count, known, pictures in numbered
            if count
        ]
        more = f" and {len(shares) - 2 * LISTED} more" if len(shares) > 2 * LISTED else ""
        ignored = 1 - sum(self.known) / max(1, pixels * len(names))
        told = [
            f"masks   {', '.join(shares[: 2 * LISTED])}{more}",
            f"masks   {100 * self.overlapping / max(1, pixels):.3g} % of all pixels have several"
            f" labels, {100 * self.without / max(1, pixels):.3g} % none; ignored"
            f" {100 * ignored:.3g} %",
        ]
        absent = [name for name, count in zip(names, self.counts, strict=True) if not count]
        if absent:
            more = ", ..." if len(absent) > LISTED else ""
            told.append(
                f"masks   labels without a pixel: {len(absent)} of {len(names)}"
                f" ({', '.join(absent[:LISTED])}{more})"
            )
        told += [f"masks   {doubt}" for doubt in self.told]
        if self.read.missing:
            told.append(
                f"values  {self.read.missing} of {pixels} pixels without data in"
                f" {self.read.pictures_missing} pictures: filled with the mean, ignored in the"
                " masks"
            )
        if self.read.empty:
            empty = self.read.empty
            told.append(f"values  {len(empty)} pictures without any data, as {empty[0]}")
        return told


def survey_labels(
    pictures: Labelled,
    progress: Callable[[int, int], None] | None,
    told: Sequence[str] = (),
) -> LabelsSurvey:
    """Read all pictures and their masks; `told` are lines known before.

    Raises:
        InputError: Nothing is known of a label, or no label is anywhere.
    """
    names, ignored = pictures.classes.names, pictures.classes.ignore_index
    count = len(names)
    by_picture = torch.zeros(len(pictures), count, dtype=torch.int64)
    known = torch.zeros(count, dtype=torch.int64)
    overlapping = without = 0
    alike = set(combinations(range(count), 2))
    read = ValuesRead()
    for i in range(len(pictures)):
        sample = pictures[i]
        read.add(sample.picture, sample.name)
        on = sample.mask == 1
        here = on.sum(dim=(1, 2))
        by_picture[i] = here
        known += (sample.mask != ignored).sum(dim=(1, 2))
        several = on.sum(dim=0)
        overlapping += int((several > 1).sum())
        without += int((sample.mask == 0).all(dim=0).sum())
        each = here.tolist()
        alike = {
            (a, b)
            for a, b in alike
            if each[a] == each[b] and (not each[a] or torch.equal(on[a], on[b]))
        }
        if progress is not None:
            progress(i + 1, len(pictures))
    there, within = by_picture.sum(0), (by_picture > 0).sum(0)
    for name, pixels in zip(names, known.tolist(), strict=True):
        if not pixels:
            raise InputError(
                f"{pictures.name}: {name} is known at no pixel (mask value {ignored} unless `map:`"
                " says otherwise, files' own nodata, absent files); look at its masks"
            )
    if not there.any():
        raise InputError(
            f"{pictures.name}: no label is anywhere, every mask is 0; look at the masks and `map:`"
        )
    doubts = [
        f"{name} is at every pixel of all masks; look whether 0 and 1 are swapped"
        for name, on, all_of in zip(names, there.tolist(), known.tolist(), strict=True)
        if on == all_of
    ]
    doubts += [
        f"{names[a]} and {names[b]} have the same masks in all pictures; look at them"
        for a, b in sorted(alike)
        if there[a]
    ]
    if count > 1 and not overlapping:
        doubts.append("no pixel has two labels: task multiclass may do as well")
    return LabelsSurvey(
        tuple(there.tolist()), tuple(known.tolist()), tuple(within.tolist()), overlapping, without,
        read, (*told, *doubts, *read.doubts(pictures.scale)), by_picture.numpy(),
    )  # fmt: skip
