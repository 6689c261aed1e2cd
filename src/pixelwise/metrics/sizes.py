"""How much is found of small, middle and large objects.

An object is a connected region of one class in the truth: pixels of it that touch at a side or a
corner. It is small, middle or large by its area, in thirds of all objects of the data set, so the
bounds come from the masks alone and are the same for every network. Per size,

    found = pixels of such objects that have the right class / pixels of such objects

No object are regions of fewer than 10 pixels (specks that labels have at borders), and regions that
cover more than half of the picture's known pixels (sky, ground, background). Ignored pixels belong
to no object; one that they cut in two counts as two. Only the truth has objects, so a network that
says a class everywhere finds all of its objects: read it beside the IoU, which pays for that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from pixelwise.metrics.tallies import Kind, Tallies, share

LEAST = 10
"""Pixels of an object."""
MOST = 0.5
"""Of a picture's known pixels that an object covers."""
SIZES = ("small", "middle", "large")


@dataclass(frozen=True, eq=False)
class Objects:
    """Those of one picture.

    Args:
        areas: Their pixels.
        found: How many of these have the right class.
    """

    areas: Int64[ndarray, " n"]
    found: Int64[ndarray, " n"]

    @classmethod
    def of(
        cls, classes: Iterable[tuple[Bool[ndarray, "h w"], Bool[ndarray, "h w"]]], known: int
    ) -> "Objects":
        """Find them.

        Args:
            classes: Of each class, where it is and where a network says that it is.
            known: Pixels of the picture that count.
        """
        areas, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for true, said in classes:
            pixels, right = _regions(true, said)
            kept = (pixels >= LEAST) & (pixels <= MOST * known)
            areas.append(pixels[kept])
            found.append(right[kept])
        return cls(np.concatenate(areas), np.concatenate(found))


def found_by_size(pictures: tuple[str, ...], objects: Sequence[Objects]) -> Tallies | None:
    """The share of the pixels that is found, by size; None where no two objects differ in size.

    Args:
        pictures: Their names.
        objects: Of each.
    """
    areas = [one.areas.astype(np.float64) for one in objects]
    found = [one.found.astype(np.float64) for one in objects]

    def kind(size: str, bounds: str) -> Kind:
        return Kind(f"found_{size}", f"{size} objects found ({bounds})")

    return by_size(pictures, areas, found, areas, kind)


def by_size(
    pictures: tuple[str, ...],
    sizes: Sequence[Float[ndarray, " _"]],
    parts: Sequence[Float[ndarray, " _"]],
    wholes: Sequence[Float[ndarray, " _"]],
    kind: Callable[[str, str], Kind],
) -> Tallies | None:
    """Sum of parts over sum of wholes, of small, middle and large things; None: all are alike.

    Args:
        pictures: Their names.
        sizes: Of the things in each picture.
        parts: What each thing adds above the line.
        wholes: What each adds below it.
        kind: Size and its bounds, in words -> what the score is.
    """
    every = np.concatenate([np.zeros(0), *sizes])
    if not len(every) or every.min() == every.max():
        return None
    low, high = np.quantile(every, [1 / 3, 2 / 3])
    sums = np.zeros((len(pictures), 2 * len(SIZES)))
    for row, (size, part, whole) in enumerate(zip(sizes, parts, wholes, strict=True)):
        number = (size > low).astype(np.int64) + (size > high)
        np.add.at(sums[row], 2 * number, part)
        np.add.at(sums[row], 2 * number + 1, whole)
    bounds = (f"up to {low:.0f} px", f"{low:.0f} to {high:.0f} px", f"above {high:.0f} px")
    return Tallies(
        pictures,
        sums,
        sums[:, 1::2].sum(axis=1),
        tuple(kind(size, bound) for size, bound in zip(SIZES, bounds, strict=True)),
        lambda of: share(of[:, ::2], of[:, 1::2]),
    )


def _regions(
    true: Bool[ndarray, "h w"], said: Bool[ndarray, "h w"]
) -> tuple[Int64[ndarray, " n"], Int64[ndarray, " n"]]:
    """Pixels of each region of a class, and how many of them are predicted."""
    from scipy import ndimage

    rows, columns = np.flatnonzero(true.any(axis=1)), np.flatnonzero(true.any(axis=0))
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    numbers, count = ndimage.label(true[box], np.ones((3, 3)))
    pixels = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    right = np.bincount(numbers[said[box]], minlength=count + 1)[1:]
    return pixels, right
