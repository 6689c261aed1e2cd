"""Maps with markers, on which a pixel's class depends on what lies at a distance from it.

    distance   whether: the class is the colour of the one marker
    position   where:   the class is the quadrant in which the marker lies, seen from the pixel
    order      which:   two markers side by side; the class is which of them comes first
    count      how many: three neighbouring places; the class is how many of them hold a marker

The distance of a pixel is the larger of its rows and columns to the marker, so a 3x3 convolution
reaches 1. Many pixels of a map are asked, each at its own distance. A class can be told neither
from where the pixel lies, nor from a part of the markers:

- distance: the colour has nothing to do with the place.
- position: pixels are asked only where the marker's reflections at their row and at their column
  are on the map too, so that all four quadrants are equally probable for each of them.
- order: swapping the two markers swaps the class, and both are equally far from the pixels asked.
  One of them alone tells nothing, unless it is the outermost of the places that are so far.
- count: all three places are equally far from the pixels asked.

Everywhere is noise, and some places hold something that is no marker (distractors).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from pixelwise.language import mark

COLOURS = 4
CHANNELS = COLOURS + 1
"""Of a map: one for each colour of markers, and one for distractors."""
NOISE = 0.05
"""Standard deviation of the noise, where a marker has 1."""
DISTRACTORS = 8


class Drawn(NamedTuple):
    """Some maps."""

    maps: Float[Tensor, "b channels size size"]
    labels: Int64[Tensor, "b size size"]
    distances: Int64[Tensor, "b size size"]
    """Of each pixel to what it is asked for; 0 where it is not asked."""


@dataclass(frozen=True)
class Variant:
    """A question to pixels.

    Args:
        key: Its name.
        word: What must be known, in a word.
        question: The same, longer.
        classes: How many answers there are, all equally probable.
        halved: Whether markers must be possible on both sides of a pixel, which halves distances.
        draw: Draws maps: how many, their size, the random numbers.
    """

    key: str
    word: str
    question: str
    classes: int
    halved: bool
    draw: Callable[[int, int, Generator], Drawn]

    @property
    def chance(self) -> float:
        """Accuracy of who does not know."""
        return 1 / self.classes

    def distances(self, size: int) -> tuple[int, ...]:
        """The distances that are tested: 1, 2, 3, 4, 6, 8, 12, ... and the largest on the map."""
        return distances_up_to((size - 1) // 2 if self.halved else size - 1)


def distances_up_to(largest: int) -> tuple[int, ...]:
    """1, 2, 3, then powers of two and the middle between them, and the largest itself."""
    powers = [2**k for k in range(1, max(2, largest.bit_length()))]
    found = {1, *powers, *(3 * power // 2 for power in powers)}
    return (*sorted(d for d in found if d < largest), largest)


def _distance(images: int, size: int, random: Generator) -> Drawn:
    first = _rows(images, size, random)
    second = torch.randint(size, (images,), generator=random)
    colours = torch.randint(COLOURS, (images,), generator=random)
    maps = _empty(images, size, random)
    _put(maps, first, second, colours, random)
    row, column = _apart(size, first, second)
    distances = torch.maximum(row.abs(), column.abs())
    drawn = Drawn(maps, _everywhere(colours, size), distances)
    return _turned(drawn, random)


def _position(images: int, size: int, random: Generator) -> Drawn:
    first, second = torch.randint(size, (2, images), generator=random)
    maps = _empty(images, size, random)
    _put(maps, first, second, torch.randint(COLOURS, (images,), generator=random), random)
    row, column = _apart(size, first, second)
    line = torch.arange(size)
    room = torch.minimum(line, size - 1 - line)  # to the nearer border
    balanced = (row.abs() <= room[:, None]) & (column.abs() <= room) & (row != 0) & (column != 0)
    distances = torch.where(balanced, torch.maximum(row.abs(), column.abs()), 0)
    return Drawn(maps, 2 * (row > 0).long() + (column > 0).long(), distances)


def _order(images: int, size: int, random: Generator) -> Drawn:
    rows = _rows(images, size, random)
    left = torch.randint(size - 1, (images,), generator=random)
    labels = torch.randint(2, (images,), generator=random)
    red, blue = left + labels, left + 1 - labels
    maps = _empty(images, size, random)
    _put(maps, rows, red, torch.zeros_like(red), random)
    _put(maps, rows, blue, torch.ones_like(blue), random)
    row, _ = _apart(size, rows, red)
    told = _within(row, red) & _within(row, blue)
    distances = torch.where(told, row.abs(), 0)
    return _turned(Drawn(maps, _everywhere(labels, size), distances), random)


def _count(images: int, size: int, random: Generator) -> Drawn:
    rows = _rows(images, size, random)
    middle = torch.randint(1, size - 1, (images,), generator=random)
    counts = torch.randint(4, (images,), generator=random)
    places = middle[:, None] - 1 + torch.rand(images, 3, generator=random).argsort(dim=1)
    maps = _empty(images, size, random)
    for number, columns in enumerate(places.unbind(dim=1)):
        colours = torch.where(number < counts, 0, -1)
        _put(maps, rows, columns, colours, random)
    row, _ = _apart(size, rows, middle)
    told = _within(row, middle - 1) & _within(row, middle + 1)
    distances = torch.where(told, row.abs(), 0)
    return _turned(Drawn(maps, _everywhere(counts, size), distances), random)


def _rows(images: int, size: int, random: Generator) -> Int64[Tensor, " b"]:
    """Rows with pixels at every tested distance from one of them about equally often."""
    tested = torch.tensor(distances_up_to(size - 1))
    wanted = tested[torch.randint(len(tested), (images,), generator=random)]
    row = (torch.rand(images, generator=random) * (size - wanted)).long()
    turned = torch.rand(images, generator=random) < 0.5
    return torch.where(turned, size - 1 - row, row)


def _empty(images: int, size: int, random: Generator) -> Float[Tensor, "b channels size size"]:
    """Noise and distractors."""
    maps = NOISE * torch.randn(images, CHANNELS, size, size, generator=random)
    rows, columns = torch.randint(size, (2, images, DISTRACTORS), generator=random)
    maps[torch.arange(images)[:, None], COLOURS, rows, columns] = 1.0
    return maps


def _put(
    maps: Float[Tensor, "b channels size size"],
    rows: Int64[Tensor, " b"],
    columns: Int64[Tensor, " b"],
    colours: Int64[Tensor, " b"],
    random: Generator,
) -> None:
    """Put a marker of a colour on each map; -1: nothing, not even a distractor."""
    images = torch.arange(len(maps))
    maps[images, :, rows, columns] = NOISE * torch.randn(len(maps), CHANNELS, generator=random)
    maps[images, colours.clamp(min=0), rows, columns] += (colours >= 0).to(maps.dtype)


def _apart(
    size: int, rows: Int64[Tensor, " b"], columns: Int64[Tensor, " b"]
) -> tuple[Int64[Tensor, "b size 1"], Int64[Tensor, "b 1 size"]]:
    """Rows and columns from each pixel to a place."""
    line = torch.arange(size)
    return rows[:, None, None] - line[:, None], columns[:, None, None] - line


def _within(
    row: Int64[Tensor, "b size 1"], columns: Int64[Tensor, " b"]
) -> Bool[Tensor, "b size size"]:
    """Whether a place `row` rows away is no more columns than rows away: that far, exactly."""
    line = torch.arange(row.shape[1])
    return (columns[:, None, None] - line).abs() <= row.abs()


def _everywhere(labels: Int64[Tensor, " b"], size: int) -> Int64[Tensor, "b size size"]:
    return labels[:, None, None].expand(-1, size, size)


def _turned(drawn: Drawn, random: Generator) -> Drawn:
    """Rows and columns swapped in every second map, so that no direction is preferred."""
    turned = (torch.rand(len(drawn.maps), generator=random) < 0.5)[:, None, None]
    maps = torch.where(turned[:, None], drawn.maps.transpose(2, 3), drawn.maps)
    return Drawn(maps, drawn.labels, torch.where(turned, drawn.distances.mT, drawn.distances))


VARIANTS: Mapping[str, Variant] = {
    one.key: one
    for one in (
        Variant(
            mark("distance"),
            "whether",
            mark("which colour the marker has"),
            COLOURS,
            False,
            _distance,
        ),
        Variant(
            mark("position"), "where", mark("in which quadrant the marker lies"), 4, True, _position
        ),
        Variant(mark("order"), "which", mark("which of two markers comes first"), 2, False, _order),
        Variant(
            mark("count"), "how many", mark("how many markers there are, 0 to 3"), 4, False, _count
        ),
    )
}
