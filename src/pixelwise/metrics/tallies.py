"""What every picture adds to a data set's scores, and intervals by drawing pictures again.

From n pictures n are drawn with replacement, 1000 times. Each time the scores come from the drawn
pictures' sums, as those of the whole set do. For two networks the same pictures are drawn for both
(a paired bootstrap), and the interval is that of the difference: what makes a picture hard for both
is no part of it.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from pixelwise.errors import InputError
from pixelwise.language import mark, translate
from pixelwise.metrics.bootstrap import DRAWS, ENDS, SEED, Interval


@dataclass(frozen=True)
class Kind:
    """A score.

    Args:
        name: As in metrics.json.
        title: For people.
        larger: Whether larger is better; None: neither.
        percent: Whether it is a share, which people are told in percent.
        unit: Of other ones.
    """

    name: str
    title: str
    larger: bool | None = True
    percent: bool = True
    unit: str = ""

    @property
    def told_in(self) -> str:
        """The unit that people read."""
        return "%" if self.percent else self.unit

    @property
    def apart_in(self) -> str:
        """The unit of differences."""
        return mark("points") if self.percent else self.unit

    def text(self, value: float | None, *, sign: bool = False) -> str:
        """A value in that unit."""
        if value is None:
            return "none"
        if self.percent:
            return f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"
        return f"{value:+.4g}" if sign else f"{value:.4g}"

    def interval(self, ends: Interval, *, sign: bool = False) -> str:
        """Both ends, or nothing."""
        if ends is None:
            return ""
        low, high = (self.text(end, sign=sign) for end in ends)
        return translate("{low} to {high}").format(low=low, high=high)


@dataclass(frozen=True, eq=False)
class Tallies:
    """Sums per picture.

    Args:
        pictures: Their names.
        sums: What each adds.
        counted: How much of each counts, such as true pixels; those with nothing are not drawn.
        kinds: The scores; the first is what pictures are told by.
        of: Sums (m, f) -> scores (m, s), NaN where there is none.
    """

    pictures: tuple[str, ...]
    sums: Float64[ndarray, "n f"]
    counted: Float64[ndarray, " n"]
    kinds: tuple[Kind, ...]
    of: Callable[[ndarray], ndarray]

    def scores(self) -> list[float | None]:
        """Of all pictures."""
        return _known(self.of(self.sums.sum(axis=0, keepdims=True))[0])

    def each(self) -> list[list[float | None]]:
        """Of every picture."""
        return [_known(row) for row in self.of(self.sums)]

    def intervals(self, *, draws: int = DRAWS, seed: int = SEED) -> list[Interval]:
        """95 % intervals of the scores; None where pictures do not suffice."""
        # The order in which processes give the pictures must not change what is drawn.
        order = np.lexsort(self.sums.T)
        drawn = _drawn(self.counted[order], draws, seed)
        if drawn is None:
            return [None] * len(self.kinds)
        return _ends(self.of(drawn @ self.sums[order]))

    def drawn(self, *, draws: int = DRAWS, seed: int = SEED) -> Float64[ndarray, "draws s"] | None:
        """Scores of drawn pictures, the same ones for all networks; None where they do not suffice.

        The pictures must be in the same order for all, and the same pixels of each must count.
        """
        drawn = _drawn(self.counted, draws, seed)
        return None if drawn is None else self.of(drawn @ self.sums)


@dataclass(frozen=True)
class Difference:
    """What a second network has more of a score than a first one.

    Args:
        kind: The score.
        first: Of the first.
        second: Of the second.
        interval: 95 %, of the difference; None where there is none.
    """

    kind: Kind
    first: float | None
    second: float | None
    interval: Interval

    @property
    def value(self) -> float | None:
        """The difference."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first

    @property
    def clear(self) -> bool:
        """Whether the interval does not hold 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def differences(
    first: Tallies, second: Tallies, *, draws: int = DRAWS, seed: int = SEED
) -> list[Difference]:
    """Score by score, with intervals by a paired bootstrap over pictures.

    Raises:
        InputError: They are not of the same pictures, masks and scores.
    """
    names = [tuple(kind.name for kind in one.kinds) for one in (first, second)]
    if first.pictures != second.pictures or names[0] != names[1]:
        raise InputError("differences: need the same pictures and scores; evaluate both alike")
    if not np.array_equal(first.counted, second.counted):
        at = int(np.flatnonzero(first.counted != second.counted)[0])
        raise InputError(
            f"{first.pictures[at]}: not the same pixels count for both networks; evaluate networks"
            " that ignore the same mask value"
        )
    drawn = _drawn(first.counted, draws, seed)
    found: list[Interval] = [None] * len(first.kinds)
    if drawn is not None:
        found = _ends(second.of(drawn @ second.sums) - first.of(drawn @ first.sums))
    each = zip(first.kinds, first.scores(), second.scores(), found, strict=True)
    return [Difference(*one) for one in each]


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names, where one that came before gets a number."""
    found: dict[str, None] = {}
    for name in names:
        chosen, number = name, 1
        while chosen in found:
            number += 1
            chosen = f"{name} ({number})"
        found[chosen] = None
    return tuple(found)


def share(part: ndarray, whole: ndarray) -> ndarray:
    """The quotient; NaN where the whole is 0."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def mean_of_known(values: Float64[ndarray, "m k"]) -> Float64[ndarray, " m"]:
    """The mean of each row over what is known; NaN where nothing is."""
    known = np.isfinite(values)
    return share(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))


def _drawn(counted: ndarray, draws: int, seed: int) -> ndarray | None:
    """How often each picture is drawn, (draws, n); None where less than two count."""
    where = np.flatnonzero(counted > 0)
    if len(where) < 2:
        return None
    found = np.zeros((draws, len(counted)))
    rng = np.random.default_rng(seed)
    found[:, where] = rng.multinomial(len(where), [1 / len(where)] * len(where), size=draws)
    return found


def _ends(values: Float64[ndarray, "draws s"]) -> list[Interval]:
    """Where the middle 95 % of each column end, of the draws in which it is known."""
    found: list[Interval] = []
    for column in values.T:
        known = column[np.isfinite(column)]
        if not len(known):
            found.append(None)
            continue
        low, high = np.percentile(known, ENDS)
        found.append((float(low), float(high)))
    return found


def _known(row: ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in row]
