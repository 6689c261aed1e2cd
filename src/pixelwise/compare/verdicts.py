"""What a comparison says of each mechanism; `judging` says how it is found."""

import math
from dataclasses import dataclass
from enum import StrEnum

from pixelwise.compare.statistics import LEVEL, Effect
from pixelwise.metrics import Interval, Kind

EVERYWHERE = (-math.inf, math.inf)
"""The interval over pictures where less than two count."""
NOTHING_KNOWN = Kind("score", "score", percent=False)
"""Stands for the main score where no run is finished."""


class Word(StrEnum):
    """What is said."""

    WORTH = "worth it"
    """Better than the network without it, trained as long, and than its control."""
    CAPACITY = "capacity"
    """Better than nothing, but not clearly than its control: parameters may explain the gain."""
    TIME = "time"
    """Better than nothing, but not clearly than nothing that is trained for as long."""
    BETTER = "better"
    """Better than what it was compared with, but none or its control was not trained."""
    WORSE = "worse"
    NO_EVIDENCE = "no evidence"


class Note(StrEnum):
    """What is to be known of a verdict besides."""

    NO_RUN = "no run"
    """It has no finished run with a score, or shares no seed with another arm."""
    ONE_SEED = "one seed"
    NO_NONE = "no none"
    NO_CONTROL = "no control"
    NO_LONGER = "no longer"
    """Its steps take longer, and none was not trained for as long."""
    NO_NUMBER = "no number"
    """Runs ended without a score, and were left out: `Verdict.missing`."""
    FEWER_SEEDS = "fewer seeds"
    """It was dropped on the way, is not finished, or runs of it failed."""
    FEW_PICTURES = "few pictures"
    """Less than two pictures count, so nothing can be said of others."""
    NO_PICTURES = "no pictures"
    """Scores are not known picture by picture: intervals are over seeds alone."""
    MORE_PICTURES = "more pictures"
    """Clear over seeds, but not over pictures."""
    TOGETHER = "together"
    """Clear against each alone, but not against all of them with so many mechanisms."""


@dataclass(frozen=True)
class Against:
    """A mechanism's main score minus that of another arm.

    Args:
        arm: The other one.
        effect: Over seeds; positive where the mechanism is better, whatever the score.
        pictures: 95 % interval of the mean over seeds by drawing pictures; None: not known picture
            by picture; from minus to plus infinity: less than two pictures count.
        p: Corrected for the number of mechanisms (Holm).
        seeds: About so many would show an effect of this size; None: more than 1000, no effect, or
            one seed, which says nothing of the spread.
        mean: The other arm's, over the seeds of both.
    """

    arm: str
    effect: Effect
    pictures: Interval
    p: float
    seeds: int | None
    mean: float = math.nan

    @property
    def clear(self) -> bool:
        """Whether neither interval holds 0, many mechanisms considered."""
        return self.p < 1 - LEVEL and self.sure and self.holds_over_pictures

    @property
    def better(self) -> bool:
        """Whether the mechanism is clearly better."""
        return self.clear and self.effect.mean > 0

    @property
    def worse(self) -> bool:
        """Whether the mechanism is clearly worse."""
        return self.clear and self.effect.mean < 0

    @property
    def sure(self) -> bool:
        """Whether the interval over seeds does not hold 0."""
        return self.effect.low > 0 or self.effect.high < 0

    @property
    def lacks_pictures(self) -> bool:
        """Whether less than two pictures count."""
        return self.pictures == EVERYWHERE

    @property
    def turns_with_pictures(self) -> bool:
        """Whether it is clear over seeds, but not over pictures."""
        over_seeds = self.p < 1 - LEVEL and self.sure
        return over_seeds and not self.lacks_pictures and not self.holds_over_pictures

    @property
    def holds_over_pictures(self) -> bool:
        """Whether the interval over pictures is on the mean's side of 0; True if not known."""
        if self.pictures is None:
            return True
        low, high = self.pictures
        return low > 0 if self.effect.mean > 0 else high < 0


@dataclass(frozen=True)
class Reach:
    """What a comparison can show at all.

    Args:
        gain: Over none; this large it is clear in four of five comparisons.
        seeds: Of each arm.
        mechanisms: That are compared.
        kind: What the main score is.
        pictures: That are scored; 0: not known.
    """

    gain: float
    seeds: int
    mechanisms: int
    kind: Kind
    pictures: int = 0


@dataclass(frozen=True)
class Verdict:
    """Of one mechanism.

    Args:
        arm: Its name.
        word: What is said.
        mean: Its main score, over its seeds; NaN where there is none.
        none: Against the network without it; None where that was not trained.
        control: Against its control; None likewise.
        longer: Against the network without it that was trained for as long; None likewise.
        slower: Its time per picture over that of the network without it, minus 1; None: unknown.
        p: That it is better than all three: the largest p, corrected for the mechanisms (Holm).
        kind: What the main score is.
        seeds: Of its runs that have a score.
        missing: Runs without one.
        control_gain: Its control against none, positive where the control is better; None: one of
            them was not trained. Not corrected: it explains, and claims nothing.
        notes: What is to be known besides.
        scored: Pictures that were scored.
    """

    arm: str
    word: Word
    mean: float
    none: Against | None
    control: Against | None
    longer: Against | None
    slower: float | None
    p: float = 1.0
    kind: Kind = NOTHING_KNOWN
    seeds: tuple[int, ...] = ()
    missing: int = 0
    control_gain: Effect | None = None
    notes: tuple[Note, ...] = ()
    scored: int = 0

    @property
    def raw(self) -> float:
        """The largest p of its comparisons, 1 where it is not ahead in all; not corrected."""
        if any(one.effect.mean <= 0 for one in self.against):
            return 1.0
        return max((one.effect.p for one in self.against), default=1.0)

    @property
    def against(self) -> tuple[Against, ...]:
        """What it was compared with."""
        return tuple(one for one in (self.none, self.control, self.longer) if one is not None)
