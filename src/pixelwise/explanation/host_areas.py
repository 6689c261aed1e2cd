"""What a map of a host covers of the picture: whole steps, confirmed by labels.

Labels count in pixels of the picture. Between the cells i of one axis of a new map they grow by its
step, in pixels; the operation that made the map says which steps there can be:

    stride s      s p           p: the steps of the maps before
    resized       p m / n       m cells became n
    merged        k p           k: whole, with n cells left of m, or of m and padding

The one that fits the labels is the step, and the map covers n steps, be it more than the picture
(padding) or less (cut off). Where none or two of them fit, the map is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

OFF = 0.02
"""Of a step, that labels may be off from one cell to the next."""
OFF_OF_TWO = 0.3
"""The same where there are two cells, of which one may be padding for the half."""
BESIDE = 0.6
"""Of a cell, that all cells may lie beside where they should; odd kernels make it up to a half."""
LEVEL = 0.9
"""Least correlation of cells with what the labels before say."""


@dataclass(frozen=True)
class Change:
    """How a map was made, in (rows, columns)."""

    stride: tuple[int | float, int | float] | None = None
    resized: tuple[int, int] | None = None
    """Rows and columns of the map before, of which this one covers the same."""
    merged: tuple[tuple[int, int], ...] = ()
    """Rows and columns of maps, of one of which whole cells were put together."""

    def steps(self, axis: int, known: Iterable[float], count: int) -> list[float]:
        """The steps that there can be along an axis, each once."""
        if self.resized is not None:
            found = [step * self.resized[axis] / count for step in known]
        elif self.stride is not None:
            found = [step * self.stride[axis] for step in known]
        else:
            found = [step * times for step in known for times in self._times(axis, count)]
        once: list[float] = []
        for step in sorted(found):
            if not once or step - once[-1] > 1e-6 * step:
                once.append(step)
        return once

    def _times(self, axis: int, count: int) -> set[int]:
        sides = [size[axis] for size in self.merged]
        return {
            times
            for side in sides
            for times in range(1, side + 1)
            if count in (side // times, -(-side // times))
        }


def step_of(
    place: Float[Tensor, " samples"],
    said: Float[Tensor, " samples"],
    count: int,
    steps: Sequence[float],
) -> tuple[float, bool]:
    """The likeliest step, and whether it is proved.

    Args:
        place: Row, or column, of some cells.
        said: Where they lie by the labels before, in pixels.
        count: Rows, or columns, of the map.
        steps: From which it is taken.
    """
    place, said = place.double(), said.double()
    cells = _distinct(place)
    for inner in ((place > 0) & (place < count - 1), place < count - 1):
        if _distinct(place[inner]) >= 2:  # padding draws the labels of the edge inwards
            place, said = place[inner], said[inner]
            break
    spread = place - place.mean() if len(place) else place
    square = spread.square().sum().item()
    if square == 0 or not steps:  # one cell: whatever it covers, every pixel lies in it
        return steps[-1] if steps else 1.0, count == 1 and bool(steps)
    slope = (spread @ said).item() / square
    rest = said - said.mean() - slope * spread
    error = (rest.square().sum().item() / max(len(place) - 2, 1) / square) ** 0.5
    best = min(steps, key=lambda step: abs(slope - step))
    off = OFF if cells > 2 else OFF_OF_TWO
    fits = [step for step in steps if abs(slope - step) <= 3 * error + off * step]
    beside = (said - best * (place + 0.5)).mean().abs().item()
    level = len(place) < 9 or torch.corrcoef(torch.stack([place, said]))[0, 1].item() > LEVEL
    return best, fits == [best] and beside <= BESIDE * best and level


def _distinct(place: Tensor) -> int:
    return len(set(place.tolist()))
