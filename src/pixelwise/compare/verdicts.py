"""What a comparison says of each mechanism."""

from dataclasses import dataclass
from enum import StrEnum

from pixelwise.compare.statistics import Effect


class Word(StrEnum):
    """What is said."""

    WORTH = "worth it"
    """Better than the network without it, trained as long, and than its control."""
    CAPACITY = "capacity"
    """Better than nothing, but its control is as well: the gain is that of more parameters."""
    TIME = "time"
    """Better than nothing, but so is nothing when it is trained for as long."""
    WORSE = "worse"
    NO_EVIDENCE = "no evidence"


@dataclass(frozen=True)
class Against:
    """A mechanism's main score minus that of another arm.

    Args:
        arm: The other one.
        effect: Over seeds; positive where the mechanism is better, whatever the score.
        pictures: 95 % interval of the mean over seeds by drawing pictures; None: not known.
        p: Corrected for the number of mechanisms (Holm).
        seeds: About so many would show an effect of this size; None: more than 1000, or no effect.
    """

    arm: str
    effect: Effect
    pictures: tuple[float, float] | None
    p: float
    seeds: int | None

    @property
    def clear(self) -> bool:
        """Whether neither interval holds 0, many mechanisms considered."""
        raise NotImplementedError


@dataclass(frozen=True)
class Verdict:
    """Of one mechanism.

    Args:
        arm: Its name.
        word: What is said.
        mean: Its main score, over seeds.
        none: Against the network without it; None where that was not trained.
        control: Against its control; None likewise.
        longer: Against the network without it that was trained for as long; None likewise.
        slower: Its time per picture over that of the network without it, minus 1; None: unknown.
    """

    arm: str
    word: Word
    mean: float
    none: Against | None
    control: Against | None
    longer: Against | None
    slower: float | None
