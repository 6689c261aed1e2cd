"""How sure a difference between two networks is, when both were trained with the same seeds.

    d_s = score of the second with seed s - score of the first with seed s,   s = 1..n
    mean +- t(n - 1, 0.975) sd / sqrt(n)                                       its 95 % interval
    p = 2 P(T(n - 1) > |mean| sqrt(n) / sd)                                    were there none

What a seed makes easy or hard for both (first weights, order of the pictures) drops out of d_s.
Of m differences some are far from 0 by chance alone, so p is corrected by Holm's method: the
chance that any difference is called clear where there is none stays below 5 %.

Sources: Student, "The probable error of a mean", 1908; Holm, "A simple sequentially rejective
multiple test procedure", 1979.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pixelwise.errors import InputError

LEVEL = 0.95
POWER = 0.8
"""The chance to see an effect that is there, which a number of seeds is to give."""
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Effect:
    """A mean difference over seeds.

    Args:
        differences: By seed.
        mean: Theirs.
        low: Lower end of the 95 % interval; minus infinity with one seed.
        high: Upper end.
        p: How probable a mean so far from 0 is where there is no difference; 1 with one seed.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p: float

    @property
    def spread(self) -> float:
        """Standard deviation of the differences; 0 with one seed."""
        return statistics.stdev(self.differences) if len(self.differences) > 1 else 0.0

    @property
    def margin(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def effect(differences: Sequence[float]) -> Effect:
    """The mean of paired differences, with its t-interval.

    Raises:
        InputError: There is none, or one is not finite.
    """
    from scipy import special

    if not differences or not all(map(math.isfinite, differences)):
        raise InputError(
            f"differences={list(differences)}: must be numbers, one per seed; leave out the seeds"
            " without a score"
        )
    found, n = tuple(map(float, differences)), len(differences)
    mean = statistics.fmean(found)
    if n == 1:
        return Effect(found, mean, -math.inf, math.inf, 1.0)
    error = statistics.stdev(found) / math.sqrt(n)
    if error == 0:
        return Effect(found, mean, mean, mean, 1.0 if mean == 0 else 0.0)
    margin = float(special.stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    p = 2 * float(special.stdtr(n - 1, -abs(mean) / error))
    return Effect(found, mean, mean - margin, mean + margin, p)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Corrected for how many there are, in the same order.

    With the smallest first: the larger of (m - i) p_i and what the one before got, at most 1.
    """
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    found, least = [0.0] * len(probabilities), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * probabilities[place]))
        found[place] = least
    return found


def seeds_needed(mean: float, spread: float, *, tests: int = 1) -> int | None:
    """How many seeds show an effect of this size in four of five comparisons.

    The power of the paired t-test comes from the noncentral t distribution.

    Args:
        mean: The effect.
        spread: Standard deviation of the differences.
        tests: How many differences are looked at; each is then to be clear at 5 % over their
            number, as the first by Holm's method.

    Returns:
        At least 2; None where even 1000 do not suffice.
    """
    if mean == 0:
        return None
    if spread == 0:
        return 2
    size = abs(mean) / spread
    if _power(size, MOST_SEEDS, tests) < POWER:
        return None
    low, high = 1, MOST_SEEDS  # the power grows with n: the first that suffices is looked for
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(size, middle, tests) >= POWER else (middle, high)
    return high


def smallest_effect(seeds: int, *, tests: int = 1) -> float:
    """The effect that so many seeds show in four of five comparisons; `seeds_needed` backwards.

    Args:
        seeds: At least 2.
        tests: As of `seeds_needed`.

    Returns:
        In standard deviations of the differences.
    """
    low, high = 0.0, 1.0
    while _power(high, seeds, tests) < POWER:
        low, high = high, 2 * high
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, seeds, tests) >= POWER else (middle, high)
    return high


def _power(size: float, seeds: int, tests: int) -> float:
    """The chance to call an effect clear that is `size` standard deviations large."""
    from scipy import stats

    critical = stats.t.isf((1 - LEVEL) / 2 / tests, seeds - 1)
    return float(stats.nct.sf(critical, seeds - 1, size * math.sqrt(seeds)))
