"""Connected regions of a mask, by the runs of its rows."""

import numpy as np
from jaxtyping import Int64

BINS = 24
"""Sizes of regions are counted by powers of two."""


def region_sizes(ids: Int64[np.ndarray, "h w"]) -> dict[int, tuple[int, ...]]:
    """Class id -> how many regions have 1, 2..3, 4..7, ... pixels.

    Pixels that touch by a side and have the same id are one region.
    """
    height, width = ids.shape
    starts = np.ones(ids.shape, np.bool_)
    starts[:, 1:] = ids[:, 1:] != ids[:, :-1]
    begin = np.flatnonzero(starts)
    run_of = np.cumsum(starts.ravel()).reshape(ids.shape) - 1
    joined = ids[1:] == ids[:-1]
    first = joined.copy()  # the first pixel at which two runs touch
    first[:, 1:] &= ~(joined[:, :-1] & ~starts[1:, 1:] & ~starts[:-1, 1:])
    parent = _joined(len(begin), run_of[:-1][first], run_of[1:][first])
    lengths = np.diff(np.append(begin, height * width))
    areas = np.bincount(parent, lengths, len(begin)).astype(np.int64)
    roots = np.flatnonzero(areas)
    labels, areas = ids.ravel()[begin[roots]], areas[roots]
    bins = np.minimum(np.log2(areas).astype(np.int64), BINS - 1)
    return {
        int(label): tuple(np.bincount(bins[labels == label], minlength=BINS).tolist())
        for label in np.unique(labels)
    }


def _joined(
    count: int, above: Int64[np.ndarray, " n"], below: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " m"]:
    """For each run, the lowest of those that it is connected with."""
    root = np.arange(count)
    while True:
        low = np.minimum(root[above], root[below])
        new = root.copy()
        np.minimum.at(new, root[above], low)
        np.minimum.at(new, root[below], low)
        while (new[new] != new).any():
            new = new[new]
        if (new == root).all():
            return root
        root = new
