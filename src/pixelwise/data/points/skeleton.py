"""The points that a data set has: names, left and right, lines, and how well people place them."""

import math
import re
from dataclasses import dataclass

from pixelwise.errors import InputError

SIDES = (("left", "right"), ("l", "r"))


def paired_by_name(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Points whose names differ in "left" and "right" alone, or in "l" and "r" as whole words."""
    split = [tuple(_words(name)) for name in names]
    pairs = []
    for number, words in enumerate(split):
        for left, right in SIDES:
            other = tuple(right if word == left else word for word in words)
            if left in words and other in split:
                pairs.append((number, split.index(other)))
    return tuple(dict.fromkeys(pairs))


def _words(name: str) -> list[str]:
    """Words of a name: of "LeftEar", "left_ear", "leftear" and "ear.l"."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    parted = re.sub(r"(?i)(left|right)", r" \1 ", parted)
    return [word for word in re.split(r"[\W_]+", parted.lower()) if word]


@dataclass(frozen=True)
class Skeleton:
    """Named points of one kind of figure.

    Args:
        names: One per point, in the order of all arrays.
        pairs: (left, right) numbers of points that a mirror swaps.
        edges: Numbers of points that a line joins.
        sigmas: Spread of repeated labels per point, as a share of the figure's size (the square
            root of its area), for OKS; None: not known.

    Raises:
        InputError: No point, a name twice, a pair or edge of points that do not exist, a point in
            two pairs, or sigmas that are not one positive number per point.
    """

    names: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if not count:
            raise InputError("points=(): must name at least one point; list their names")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InputError(f"points: {twice[0]!r} stands twice; give every point its own name")
        for kind, joined in (("pairs", self.pairs), ("skeleton", self.edges)):
            for first, second in joined:
                if not (0 <= first < count and 0 <= second < count and first != second):
                    raise InputError(
                        f"{kind}: joins points {first} and {second} of {count}; name two different"
                        " points of the list"
                    )
        paired = [number for pair in self.pairs for number in pair]
        for number in paired:
            if paired.count(number) > 1:
                raise InputError(
                    f"pairs: {self.names[number]!r} stands in two pairs; a point has one partner"
                )
        if self.sigmas is not None and len(self.sigmas) != count:
            raise InputError(
                f"sigmas={self.sigmas}: must be one number per point, {count} of them; give as many"
            )
        if self.sigmas is not None and not all(0 < s < math.inf for s in self.sigmas):
            raise InputError(f"sigmas={self.sigmas}: must be above 0; correct them")

    def __len__(self) -> int:
        return len(self.names)

    def mirrored(self) -> tuple[int, ...]:
        """Which point stands at each place after a mirror: partners swapped."""
        order = list(range(len(self)))
        for left, right in self.pairs:
            order[left], order[right] = right, left
        return tuple(order)
