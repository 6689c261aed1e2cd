"""How far predicted points lie from the labelled ones, in pixels.

With the distance d of a predicted point from its label, over the points that are labelled,

    mean, median, RMSE = sqrt(mean d^2)
    within(t) = share of points with d <= t
    PCK@alpha = share of points with d <= alpha L,  L the distance of two named points of the figure

A labelled point without a prediction (NaN) is "missed": no distance, so it is not in mean, median
and RMSE, but it is not within any t either. What no label has is None, never 0.

Source of PCK: Yang & Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts", 2013,
https://doi.org/10.1109/TPAMI.2012.261.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from pixelwise.data.points.skeleton import Skeleton
from pixelwise.errors import InputError, unknown

Distances = Float64[ndarray, "n k"]
"""Pixels; NaN where no label is, infinite where the label was missed."""


@dataclass(frozen=True)
class PixelErrors:
    """Distances of one point, or of all.

    Args:
        labelled: Labels that were compared.
        missed: Those without a prediction.
        mean: Of the distances in pixels; None without one.
        median: Likewise.
        rmse: Root of the mean square.
    """

    labelled: int
    missed: int
    mean: float | None
    median: float | None
    rmse: float | None


def distances(
    predicted: Float[ndarray, "n k 2"],
    truth: Float[ndarray, "n k 2"],
    labelled: Bool[ndarray, "n k"] | None = None,
) -> Distances:
    """The distance of each point from its label.

    Args:
        predicted: Pixels; NaN where nothing was predicted.
        truth: Pixels; NaN where nothing is labelled.
        labelled: Labels that count; None: all that are there.
    """
    found = np.linalg.norm(predicted.astype(np.float64) - truth, axis=-1)
    found = np.where(np.isfinite(predicted).all(axis=-1), found, np.inf)
    counted = np.isfinite(truth).all(axis=-1)
    return np.where(counted if labelled is None else counted & labelled, found, np.nan)


def pixel_errors(distance: Float[ndarray, "*any"]) -> PixelErrors:
    """The figures of any set of distances: of all points, or of one, `distance[:, i]`."""
    compared = distance[~np.isnan(distance)]
    found = compared[np.isfinite(compared)].astype(np.float64)
    missed = compared.size - found.size
    if not found.size:
        return PixelErrors(compared.size, missed, None, None, None)
    rmse = math.sqrt(float((found**2).mean()))
    return PixelErrors(compared.size, missed, float(found.mean()), float(np.median(found)), rmse)


def share_within(
    distance: Float[ndarray, "*any"], thresholds: Sequence[int | float]
) -> tuple[float | None, ...]:
    """The share of labels at most each threshold away: a curve."""
    compared = distance[~np.isnan(distance)]
    if not compared.size:
        return (None,) * len(thresholds)
    return tuple(float((compared <= most).mean()) for most in thresholds)


def pck(
    distance: Distances, lengths: Float[ndarray, " n"], alpha: float
) -> tuple[float | None, ...]:
    """The share of labels at most alpha lengths away: overall, then per point.

    Figures whose length is not known (NaN), or not above 0, do not count.

    Raises:
        InputError: An alpha that is not above 0.
    """
    if not 0 < alpha < math.inf:
        raise InputError(f"alpha={alpha}: must be above 0; 0.2 is usual")
    known = np.where(lengths > 0, lengths, np.nan)
    relative = distance / known[:, None]
    columns = [relative, *relative.T]
    return tuple(share_within(column, [alpha])[0] for column in columns)


def named_length(
    truth: Float[ndarray, "n k 2"], skeleton: Skeleton, first: str, second: str
) -> Float64[ndarray, " n"]:
    """The distance of two labelled points of each figure; NaN where one is missing.

    Raises:
        InputError: A name that the skeleton does not have.
    """
    for name in (first, second):
        if name not in skeleton.names:
            raise unknown("point", name, skeleton.names)
    a, b = (truth[:, skeleton.names.index(name)] for name in (first, second))
    return np.linalg.norm(a.astype(np.float64) - b, axis=-1)
