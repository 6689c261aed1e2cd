"""Where a crop lies in its picture, along one axis.

A crop of `out` pixels shows a window of `size` pixels of the picture, which may reach beyond it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """Along one axis: pixels `start`..`stop` of the picture fill `target` of the crop."""

    start: int
    stop: int
    target: slice

    @property
    def source(self) -> slice:
        """Those pixels."""
        return slice(self.start, self.stop)

    @property
    def length(self) -> int:
        """Pixels of the crop that are filled."""
        return int(self.target.stop - self.target.start)

    def nearest(self) -> Int64[Tensor, "n"]:
        """The source pixel under the centre of each target pixel."""
        centres = (torch.arange(self.length, dtype=torch.float64) + 0.5) / self.length
        return self.start + (centres * (self.stop - self.start)).long()


def overlap(offset: int, window: int, size: int, out: int) -> Span:
    """The part of the window [offset, offset + window) that a picture of `size` pixels covers."""
    start, stop = max(0, offset), min(size, offset + window)
    first = min(round((start - offset) * out / window), out - 1)
    last = max(round((stop - offset) * out / window), first + 1)
    return Span(start, stop, slice(first, last))


def any_offset(chance: float, slack: int) -> int:
    """A window's start, all equally likely: inside a larger picture, around a smaller one."""
    steps = int(chance * (abs(slack) + 1))
    return steps if slack >= 0 else -steps


def offset_holding(pixel: int, chance: float, window: int, size: int, out: int) -> int | None:
    """The start of a window whose crop shows `pixel`; all are about equally likely.

    Like `any_offset` it stays inside a larger picture and around a smaller one. A crop that is
    smaller than its window leaves pixels out: then it is the nearest start that keeps this one.

    Returns:
        None where no window of that length keeps the pixel.
    """
    if window <= size:
        low, high = max(0, pixel - window + 1), min(pixel, size - window)
    else:
        low, high = size - window, 0
    wanted = low + min(int(chance * (high - low + 1)), high - low)
    for step in range(window // out + 2):
        for offset in dict.fromkeys((wanted + step, wanted - step)):
            if low <= offset <= high and pixel in overlap(offset, window, size, out).nearest():
                return offset
    return None
