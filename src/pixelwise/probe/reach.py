"""Accuracy against distance, over seeds, and how far it holds.

    reach = the largest distance d such that accuracy(1..d) >= (chance + 1) / 2

With one seed the interval is Wilson's, each map counted as one draw; with several it is the
t-interval of their mean.

Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pixelwise.probe.training import Trained
from pixelwise.probe.variants import VARIANTS

LEVEL = 0.95


@dataclass(frozen=True)
class Point:
    """Accuracy at a distance.

    Args:
        distance: In pixels.
        accuracy: 0 to 1; None where no pixel was at that distance.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    distance: int
    accuracy: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A layer's accuracy on a variant."""

    subject: str
    variant: str
    points: tuple[Point, ...]

    @property
    def threshold(self) -> float:
        """Half way from chance to always right."""
        return (VARIANTS[self.variant].chance + 1) / 2

    @property
    def reach(self) -> int:
        """The largest distance up to which accuracy is above the threshold; 0: at none."""
        found = 0
        for point in self.points:
            if point.accuracy is None:
                continue
            if point.accuracy < self.threshold:
                break
            found = point.distance
        return found

    @property
    def is_whole(self) -> bool:
        """Whether it holds at all distances that were tested, so may reach farther."""
        tested = [p.distance for p in self.points if p.accuracy is not None]
        return bool(tested) and self.reach == max(tested)

    @property
    def mean(self) -> float:
        """Accuracy, averaged over distances; NaN where nothing was tested."""
        known = [p.accuracy for p in self.points if p.accuracy is not None]
        return statistics.fmean(known) if known else math.nan

    @property
    def text(self) -> str:
        """For a table: the reach, and the accuracy averaged over all distances."""
        if math.isnan(self.mean):
            return "absent"
        return f"{'>=' if self.is_whole else ''}{self.reach} ({100 * self.mean:.0f} %)"


def curve(trained: Sequence[Trained]) -> Curve:
    """The curve of trainings that differ by their seeds alone."""
    first = trained[0]
    points = []
    for place, distance in enumerate(first.distances):
        values = [one.accuracy[place] for one in trained]
        known = [value for value in values if value is not None]
        maps = sum(one.maps[place] for one in trained)
        if not known:
            points.append(Point(distance, None, 0.0, 1.0))
            continue
        mean = statistics.fmean(known)
        low, high = wilson(mean, maps) if len(known) == 1 else over_seeds(known)
        points.append(Point(distance, mean, low, high))
    return Curve(first.subject, first.variant, tuple(points))


def wilson(share: float, draws: int) -> tuple[float, float]:
    """The 95 % interval of a probability, of which so many draws showed this share."""
    z = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = (share + z * z / (2 * draws)) / (1 + z * z / draws)
    half = z * math.sqrt(share * (1 - share) / draws + (z / (2 * draws)) ** 2) / (1 + z * z / draws)
    return max(0.0, middle - half), min(1.0, middle + half)


def over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % t-interval of a mean, cut to 0 to 1."""
    from scipy import stats

    n, mean = len(values), statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(n)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return max(0.0, mean - half), min(1.0, mean + half)
