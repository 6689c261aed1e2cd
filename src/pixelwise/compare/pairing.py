"""Runs of a comparison by arm and seed, and what two arms differ by with the same seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pixelwise.compare.arms import Arm
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.compare.statistics import Effect, effect
from pixelwise.compare.verdicts import EVERYWHERE
from pixelwise.errors import InputError
from pixelwise.metrics import Interval, Kind
from pixelwise.metrics.bootstrap import ENDS

Part = Literal["scores", "sizes"]


@dataclass(frozen=True)
class Paired:
    """A score of one arm minus that of another.

    Args:
        effect: Over seeds; positive where the first is better.
        pictures: As of `Against`.
        mean: Of the other arm, over the same seeds.
    """

    effect: Effect
    pictures: Interval
    mean: float


@dataclass(frozen=True)
class Runs:
    """Outcomes of which any two can be compared.

    Args:
        by_arm: Arm -> seed -> outcome.
    """

    by_arm: dict[str, dict[int, Outcome]]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], arms: Sequence[Arm]) -> "Runs":
        """Check that they belong together.

        Raises:
            InputError: A run is there twice, of no arm, or was scored otherwise than the others.
        """
        found: dict[str, dict[int, Outcome]] = {arm.name: {} for arm in arms}
        first: Outcome | None = None
        for one in outcomes:
            name = f"run={one.arm}, seed {one.seed}"
            if one.arm not in found:
                raise InputError(f"{name}: is none of what is compared; remove its folder")
            if one.seed in found[one.arm]:
                raise InputError(f"{name}: is there twice; remove one of the folders")
            first = first or one
            told = f"than {first.arm}, seed {first.seed}"
            remedy = "remove its folder, so that it is made again"
            if one.pictures != first.pictures:
                raise InputError(f"{name}: was scored on other pictures {told}; {remedy}")
            if _shape(one) != _shape(first):
                raise InputError(f"{name}: has other scores {told}; {remedy}")
            found[one.arm][one.seed] = one
        return cls(found)

    def kinds(self, part: Part = "scores") -> tuple[Kind, ...]:
        """What the scores are, the main one first; nothing where no run is finished."""
        for runs in self.by_arm.values():
            for one in runs.values():
                scores = _part(one, part)
                return () if scores is None else scores.kinds
        return ()

    @property
    def pictures(self) -> int:
        """How many were scored, the same ones for all."""
        every = (one for runs in self.by_arm.values() for one in runs.values())
        return next((len(one.pictures) for one in every), 0)

    def known(self, arm: str, part: Part = "scores", number: int = 0) -> dict[int, Scores]:
        """Seed -> scores, of the runs where that one is a number."""
        found = {}
        for seed, one in sorted(self.by_arm.get(arm, {}).items()):
            scores = _part(one, part)
            if scores is not None and np.isfinite(scores.values[number]):
                found[seed] = scores
        return found

    def steps(self, arm: str) -> float:
        """Of its runs, on average; 0 where it has none."""
        steps = [one.steps for one in self.by_arm.get(arm, {}).values()]
        return float(np.mean(steps)) if steps else 0.0

    def missing(self, arm: str) -> int:
        """Finished runs without a main score."""
        return len(self.by_arm.get(arm, {})) - len(self.known(arm))

    def pair(
        self, first: str, second: str, part: Part = "scores", number: int = 0
    ) -> Paired | None:
        """The first arm's score minus the second's; None where no seed has both.

        Args:
            first: An arm.
            second: Another.
            part: Which scores.
            number: Which of them.
        """
        a, b = self.known(first, part, number), self.known(second, part, number)
        seeds = [seed for seed in a if seed in b]
        if not seeds:
            return None
        sign = -1.0 if self.kinds(part)[number].larger is False else 1.0
        values = [float(b[seed].values[number]) for seed in seeds]
        differences = [
            sign * (float(a[seed].values[number]) - value)
            for seed, value in zip(seeds, values, strict=True)
        ]
        pictures = _over_pictures([(a[seed], b[seed]) for seed in seeds], number, sign)
        return Paired(effect(differences), pictures, float(np.mean(values)))


def _part(outcome: Outcome, part: Part) -> Scores | None:
    return outcome.scores if part == "scores" else outcome.sizes


def _shape(outcome: Outcome) -> list[tuple[tuple[Kind, ...], tuple[int, ...]] | None]:
    """What must be the same of all runs."""
    return [
        None if one is None else (one.kinds, one.drawn.shape)
        for one in (outcome.scores, outcome.sizes)
    ]


def _over_pictures(pairs: list[tuple[Scores, Scores]], number: int, sign: float) -> Interval:
    """Draw by draw, the mean over seeds of the differences; its middle 95 %."""
    if not all(len(one.drawn) for pair in pairs for one in pair):
        known = any(len(one.each) for pair in pairs for one in pair)
        return EVERYWHERE if known else None
    with np.errstate(invalid="ignore"):  # an endless error minus another
        each = [sign * (a.drawn[:, number] - b.drawn[:, number]) for a, b in pairs]
        means = np.mean(each, axis=0)
    means = means[np.isfinite(means)]  # a class may be in none of the drawn pictures
    if not len(means):
        return EVERYWHERE
    low, high = np.percentile(means, ENDS)
    return float(low), float(high)
