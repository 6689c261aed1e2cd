"""What a split with labels holds: how much of the pictures each covers, and what may not be meant.

Shares are of the pixels where a label is known.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from jaxtyping import Int64

from pixelwise.data.each import each
from pixelwise.data.fitting import Range
from pixelwise.data.survey import LISTED, Labelled, ValuesOfPicture, ValuesRead
from pixelwise.errors import InputError
from pixelwise.language import translate


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
            translate("{name} {known:.3g} % (in {pictures} pictures)").format(
                name=name, known=100 * count / known, pictures=pictures
            )
            for name, count, known, pictures in numbered
            if count
        ]
        more = (
            translate(" and {amount} more").format(amount=len(shares) - 2 * LISTED)
            if len(shares) > 2 * LISTED
            else ""
        )
        ignored = 1 - sum(self.known) / max(1, pixels * len(names))
        told = [
            translate("masks   {join}{more}").format(
                join=", ".join(shares[: 2 * LISTED]), more=more
            ),
            translate(
                "masks   {overlapping:.3g} % of all pixels have several labels,"
                " {without:.3g} % none; ignored {ignored:.3g} %"
            ).format(
                overlapping=100 * self.overlapping / max(1, pixels),
                without=100 * self.without / max(1, pixels),
                ignored=100 * ignored,
            ),
        ]
        absent = [name for name, count in zip(names, self.counts, strict=True) if not count]
        if absent:
            more = ", ..." if len(absent) > LISTED else ""
            told.append(
                translate(
                    "masks   labels without a pixel: {absent} of {names} ({join}{more})"
                ).format(
                    absent=len(absent), names=len(names), join=", ".join(absent[:LISTED]), more=more
                )
            )
        told += [translate("masks   {doubt}").format(doubt=doubt) for doubt in self.told]
        if self.read.missing:
            told.append(
                translate(
                    "values  {missing} of {pixels} pixels without data in {pictures_missing}"
                    " pictures: filled with the mean, ignored in the masks"
                ).format(
                    missing=self.read.missing,
                    pixels=pixels,
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
        return told


def survey_labels(
    pictures: Labelled,
    progress: Callable[[int, int], None] | None,
    told: Sequence[str] = (),
    workers: int = 0,
) -> LabelsSurvey:
    """Read all pictures and their masks; `told` are lines known before, `workers` as of `each`.

    Raises:
        InputError: Nothing is known of a label, or no label is anywhere.
    """
    names, ignored = pictures.classes.names, pictures.classes.ignore_index
    count = len(names)
    by_picture = np.zeros((len(pictures), count), np.int64)
    known = np.zeros(count, np.int64)
    overlapping = without = 0
    alike = set(combinations(range(count), 2))
    read = ValuesRead()
    with closing(each(pictures, _labelled, workers)) as found:
        for i, one in enumerate(found):
            read.add(one.values)
            by_picture[i] = one.there
            known += one.known
            overlapping += one.overlapping
            without += one.without
            alike &= one.alike
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
        translate("{name} is at every pixel of all masks; look whether 0 and 1 are swapped").format(
            name=name
        )
        for name, on, all_of in zip(names, there.tolist(), known.tolist(), strict=True)
        if on == all_of
    ]
    doubts += [
        translate("{names} and {names2} have the same masks in all pictures; look at them").format(
            names=names[a], names2=names[b]
        )
        for a, b in sorted(alike)
        if there[a]
    ]
    if count > 1 and not overlapping:
        doubts.append(translate("no pixel has two labels: task multiclass may do as well"))
    return LabelsSurvey(
        tuple(there.tolist()), tuple(known.tolist()), tuple(within.tolist()), overlapping, without,
        read, (*told, *doubts, *read.doubts(pictures.scale)), by_picture,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Labels:
    """Of one picture; see `LabelsSurvey`. `alike` are pairs of labels with the same mask."""

    values: ValuesOfPicture
    there: Int64[np.ndarray, " k"]
    known: Int64[np.ndarray, " k"]
    overlapping: int
    without: int
    alike: set[tuple[int, int]]


def _labelled(pictures: Labelled, index: int) -> _Labels:
    sample = pictures[index]
    values = ValuesOfPicture.of(sample.picture, sample.name)
    mask = sample.mask.numpy()
    on = mask == 1
    there = np.count_nonzero(on, axis=(1, 2))
    pixels = there.tolist()
    alike = {
        (a, b)
        for a, b in combinations(range(len(on)), 2)
        if pixels[a] == pixels[b] and (not pixels[a] or np.array_equal(on[a], on[b]))
    }
    return _Labels(
        values,
        there,
        np.count_nonzero(mask != pictures.classes.ignore_index, axis=(1, 2)),
        int(np.count_nonzero(np.count_nonzero(on, axis=0) > 1)),
        int(np.count_nonzero((mask == 0).all(axis=0))),
        alike,
    )
