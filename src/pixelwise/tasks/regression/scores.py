"""How far predicted values are from the truth, over a whole data set.

With the error e = p - t over all known pixels of a band,

    MAE = mean |e|      RMSE = sqrt(mean e^2)      bias = mean e
    absolute relative error = mean |e| / t
    delta = share of pixels with max(p / t, t / p) < 1.25

The last two are None where the truth has values of 0 or below, for which they mean nothing.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

DELTA = 1.25


@dataclass(frozen=True)
class BandScores:
    """The scores of one band, in its unit; None where there is nothing to tell.

    Args:
        pixels: Known ones.
        mae: Mean absolute error.
        rmse: Root of the mean squared error.
        bias: Mean of prediction minus truth.
        relative: Absolute relative error.
        within: Share of pixels within a factor of 1.25.
        spread: Standard deviation of the truth.
        ranges: (from, to, pixels, bias) of ranges of true values; the outer ends are infinite.
    """

    pixels: int
    mae: float | None
    rmse: float | None
    bias: float | None
    relative: float | None
    within: float | None
    spread: float | None
    ranges: tuple[tuple[float, float, int, float | None], ...]


@dataclass
class Sums:
    """Gathers one band, picture by picture, in float64.

    Args:
        edges: Inner ends of the ranges that the bias is told of, rising.
    """

    edges: tuple[float, ...] = ()
    pixels: int = 0
    absolute: float = 0.0
    squared: float = 0.0
    signed: float = 0.0
    relative: float = 0.0
    within: int = 0
    positive: bool = True
    truth_mean: float = 0.0
    truth_squares: float = 0.0
    counts: ndarray = field(init=False)
    biases: ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.edges) + 1, np.int64)
        self.biases = np.zeros(len(self.edges) + 1)

    @classmethod
    def of(
        cls,
        edges: tuple[float, ...],
        predicted: Float[ndarray, "h w"],
        truth: Float[ndarray, "h w"],
    ) -> "Sums":
        """Of one picture; the truth is NaN where nothing is known."""
        self, known = cls(edges), np.isfinite(truth)
        if not known.any():
            return self
        t, p = truth[known].astype(np.float64), predicted[known].astype(np.float64)
        error = p - t
        self.pixels, self.truth_mean = t.size, float(t.mean())
        self.truth_squares = float(((t - self.truth_mean) ** 2).sum())
        self.absolute = float(np.abs(error).sum())
        self.squared = float((error**2).sum())
        self.signed = float(error.sum())
        self.positive = bool((t > 0).all())
        if self.positive:
            self.relative = float((np.abs(error) / t).sum())
            above = p > 0
            self.within = int((np.maximum(p[above] / t[above], t[above] / p[above]) < DELTA).sum())
        place = np.searchsorted(edges, t, side="right")
        self.counts += np.bincount(place, minlength=len(self.counts))
        self.biases += np.bincount(place, error, minlength=len(self.counts))
        return self

    def include(self, picture: "Sums") -> None:
        """Add one picture's sums."""
        if not picture.pixels:
            return
        n = picture.pixels
        total, apart = self.pixels + n, picture.truth_mean - self.truth_mean
        self.truth_squares += picture.truth_squares
        self.truth_squares += apart**2 * self.pixels * n / total
        self.truth_mean += apart * n / total
        self.pixels = total
        self.absolute += picture.absolute
        self.squared += picture.squared
        self.signed += picture.signed
        self.positive = self.positive and picture.positive
        self.relative += picture.relative
        self.within += picture.within
        self.counts += picture.counts
        self.biases += picture.biases

    def scores(self) -> BandScores:
        """The scores so far."""
        n = self.pixels
        ends = (-math.inf, *self.edges, math.inf)
        ranges = tuple(
            (low, high, int(count), float(bias) / int(count) if count else None)
            for low, high, count, bias in zip(
                ends, ends[1:], self.counts, self.biases, strict=False
            )
            if self.edges
        )
        if not n:
            return BandScores(0, None, None, None, None, None, None, ranges)
        return BandScores(
            n,
            self.absolute / n,
            math.sqrt(self.squared / n),
            self.signed / n,
            self.relative / n if self.positive else None,
            self.within / n if self.positive else None,
            math.sqrt(self.truth_squares / n),
            ranges,
        )
