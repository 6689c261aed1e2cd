"""Boxes of figures that share a picture and have none: without one, a network sees them all."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pixelwise.data.points.figure import Figure

SMALLEST = 0.5
"""The shortest side, as a share of the usual longest one."""


def with_boxes(splits: Mapping[str, list[Figure]]) -> tuple[dict[str, list[Figure]], str]:
    """The same figures, with boxes around their points if several share a picture and none has one.

    A side is at least half as long as the longest sides usually are.

    Returns:
        The figures, and what was done, in words; empty: nothing.
    """
    labelled = [(s, f) for s, its in splits.items() for f in its if f.labelled.any()]
    figures = [figure for _, figure in labelled]
    counts = Counter((split, figure.file) for split, figure in labelled)
    sides = [float(np.ptp(f.points[f.labelled], axis=0).max()) for f in figures]
    usual = float(np.median([side for side in sides if side] or [0]))
    if max(counts.values(), default=0) < 2 or any(f.box for f in figures):
        return dict(splits), ""
    if not usual:
        return dict(splits), "several figures share a picture, and none has a box to tell which"
    least = SMALLEST * usual
    boxed = {split: [_boxed(figure, least) for figure in its] for split, its in splits.items()}
    return boxed, "boxes around the points, since figures share pictures"


def _boxed(figure: Figure, least: float) -> Figure:
    places = figure.points[figure.labelled]
    if not len(places):
        return figure
    low, high = places.min(axis=0), places.max(axis=0)
    grown = np.maximum(least - (high - low), 0) / 2
    (left, top), (right, bottom) = (low - grown).tolist(), (high + grown).tolist()
    return replace(figure, box=(left, top, right - left, bottom - top))
