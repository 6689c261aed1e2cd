"""Which pixels a polygon covers.

A pixel belongs to a polygon where its centre is inside, by the even-odd rule: a ray from the centre
to the left crosses the outline an odd number of times. A centre on a left or an upper edge is
inside, one on a right or a lower edge is not, so that polygons side by side share no pixel.
"""

import numpy as np
from jaxtyping import Bool, Float64

SLACK = 1e-6
"""A centre that is so near to an edge lies on it."""


def fill(
    ring: Float64[np.ndarray, "n 2"], height: int, width: int, *, edges: bool = False
) -> tuple[slice, slice, Bool[np.ndarray, "rows columns"]]:
    """The pixels in a closed outline: the part of the picture around them, and which are inside.

    Args:
        ring: (x, y) of the corners; the centre of the first pixel is (0.5, 0.5).
        height: Rows of the picture; what lies outside of it is cut off.
        width: Columns.
        edges: Centres on any edge are inside too.
    """
    x, y = ring.T
    more = SLACK * edges
    top, bottom = (int(np.clip(np.ceil(v - 0.5), 0, height)) for v in (y.min(), y.max() + more))
    left, right = (int(np.clip(np.ceil(v - 0.5), 0, width)) for v in (x.min(), x.max() + more))
    part = slice(top, bottom), slice(left, right)
    if top >= bottom or left >= right:
        return *part, np.zeros((max(0, bottom - top), max(0, right - left)), np.bool_)
    x2, y2 = np.concatenate([ring[1:], ring[:1]]).T
    # Every edge crosses the centres of rows from `first` on, before `last`.
    first = np.clip(np.ceil(np.minimum(y, y2) - 0.5), top, bottom).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y, y2) - 0.5), top, bottom).astype(np.int64)
    count = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(ring)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    share = (row + 0.5 - y[edge]) / (y2[edge] - y[edge])
    crossed = x[edge] + share * (x2[edge] - x[edge])
    column = np.clip(np.ceil(crossed - 0.5), left, right).astype(np.int64)
    turns = np.zeros((bottom - top, right - left + 1), np.uint8)  # odd or even is all that counts
    np.add.at(turns, (row - top, column - left), 1)
    inside = (np.cumsum(turns, axis=1, dtype=np.uint8)[:, :-1] & 1).astype(np.bool_)
    if edges:
        for start, end in zip(ring.tolist(), np.roll(ring, -1, 0).tolist(), strict=True):
            _draw(inside, start, end, (left, top))
    return *part, inside


def _draw(
    inside: Bool[np.ndarray, "rows columns"],
    start: list[float],
    end: list[float],
    origin: tuple[int, int],
) -> None:
    """Mark the pixels whose centres lie on an edge."""
    (x1, y1), (x2, y2) = start, end
    steps = max(abs(x2 - x1), abs(y2 - y1), 1e-12)
    along = 0 if abs(x2 - x1) >= abs(y2 - y1) else 1
    low, high = sorted((start[along], end[along]))
    size = inside.shape[1 - along]
    first = max(0, int(np.ceil(low - 0.5 - SLACK)) - origin[along])
    last = min(size - 1, int(np.floor(high - 0.5 + SLACK)) - origin[along])
    centres = np.arange(first, last + 1) + origin[along] + 0.5
    share = np.abs(centres - start[along]) / steps
    across = start[1 - along] + share * (end[1 - along] - start[1 - along])
    place = np.round(across - 0.5).astype(np.int64)
    there = np.abs(across - 0.5 - place) < SLACK
    place -= origin[1 - along]
    there &= (place >= 0) & (place < inside.shape[along])
    at = (place[there], np.arange(first, last + 1)[there])
    inside[at if along == 0 else at[::-1]] = True


def area(ring: Float64[np.ndarray, "n 2"]) -> float:
    """Square pixels inside an outline that does not cross itself."""
    x, y = (
        ring - ring[0]
    ).T  # the first corner is (0, 0), so that edges from and to it add nothing
    return abs(float(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]))) / 2
