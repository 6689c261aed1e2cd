"""How long a run takes, told from its first steps, and how often a time limit allows for val."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixelwise.language import plural, translate
from pixelwise.train.settings import TrainSettings

SHARE = 1 / 6
"""Evaluations take at most this part of a time limit."""
AFTER = 3
"""Steps that are measured; the first of them, which is slower, is left out."""
LOOKED_AT = 5
"""Pictures of val that are measured."""
WANTED = 3
"""Where fewer evaluations of all pictures fit, they are of some of the pictures."""
MOST_WAITING = 0.1
"""Where steps wait for pictures for more of their time, that is told."""
LATER = 20
"""Steps after which that is looked at again, if it was not told."""
FEW = 100
"""A run of fewer steps is told how to make more."""


@dataclass(frozen=True)
class Evaluations:
    """When val is evaluated, and on what.

    Args:
        count: How often, evenly spread over the run, its end included.
        every: Of how many pictures one is looked at.
    """

    count: int
    every: int = 1


@dataclass(frozen=True)
class Pace:
    """What a run's parts take.

    Args:
        step: Seconds of an optimiser step.
        val: Seconds in which all pictures of val are evaluated.
        pictures: Of val.
    """

    step: float
    val: float
    pictures: int

    def evaluations(self, limit: float, most: int) -> Evaluations:
        """As many as fit into their share of `limit` seconds, at most `most`.

        At the end all pictures are looked at, whatever that takes.
        """
        share = SHARE * limit
        if WANTED * self.val <= share or self.val * most <= share:
            return Evaluations(min(most, int(share / self.val)) if self.val > 0 else most)
        left = max(share - self.val, share / 2)
        every = min(math.ceil(WANTED * self.val / left), max(1, self.pictures // LOOKED_AT))
        return Evaluations(min(most, WANTED), every)

    def ending(self, chosen: Evaluations) -> float:
        """Seconds from the last step to the end."""
        return self.val if chosen.every == 1 else self.val * (1 + 1 / chosen.every)

    def line(
        self, chosen: Evaluations, steps: int | None, limit: float | None, begun: int = 0
    ) -> str:
        """For people: what to expect of a run of so many steps, or of so many seconds.

        Args:
            chosen: The evaluations.
            steps: Of the run; None where `limit` ends it.
            limit: Seconds that are left, where a time limit ends the run.
            begun: Steps that are made already.
        """
        told = translate("pace    {step:.2g} s per step, {val:.2g} s per evaluation: ").format(
            step=self.step, val=self.val
        )
        if steps is not None:
            seconds = (steps - begun) * self.step + chosen.count * self.val
            return translate("{told}about {in_words} more, to step {steps}").format(
                told=told, in_words=in_words(seconds), steps=steps
            )
        assert limit is not None
        often = plural("{count} evaluation", "{count} evaluations", chosen.count).format(
            count=chosen.count
        )
        if chosen.every > 1:
            often += translate(" of one in {every} pictures, and one of all at the end").format(
                every=chosen.every
            )
        return translate("{told}about {begun} steps, {often}").format(
            told=told, begun=begun + self.steps_within(limit, chosen), often=often
        )

    def steps_within(self, limit: float, chosen: Evaluations) -> int:
        """Steps that fit into so many seconds beside the evaluations."""
        others = (chosen.count - 1) * self.val / chosen.every + self.ending(chosen)
        return max(1, int((limit - others) / self.step))


def advice(settings: TrainSettings, steps: int) -> str | None:
    """What to change where a time limit allows for few steps only."""
    if steps >= FEW:
        return None
    return translate(
        "time_limit={time_limit!r}: about {steps} steps are few; a smaller"
        " --crop, --batch-size or --backbone makes more of them, or allow more"
        " time"
    ).format(time_limit=settings.time_limit, steps=steps)


class Stopwatch:
    """Measures how long an evaluation takes from its first pictures."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times = [clock()]

    def picture(self) -> None:
        """One is done."""
        self._times.append(self._clock())

    def total(self, pictures: int) -> float:
        """Seconds for so many pictures: the beginning once, the others as those seen."""
        begun, *done = self._times
        if len(done) < 2:
            return pictures * (done[-1] - begun)
        each = (done[-1] - done[0]) / (len(done) - 1)
        return done[0] - begun + (pictures - 1) * each


def share_waited(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of the steps' seconds in which they waited for pictures; None: not known.

    The first step, which waits until the loader processes have begun, is left out.
    """
    known = [row for row in rows[1:] if row.get("waiting") is not None]
    seconds = sum(row["seconds"] for row in known)
    return sum(row["waiting"] for row in known) / seconds if seconds else None


def waits(share: float | None, workers: int) -> str | None:
    """What to change where steps wait for pictures."""
    if share is None or share <= MOST_WAITING:
        return None
    return translate(
        "waits   {share:.0%} of each step for pictures; more --workers than"
        " {workers} where there are processors for them, or --cache memory:2GB"
        " (disk:20GB), bring them faster"
    ).format(share=share, workers=workers)


def in_words(seconds: float) -> str:
    """A length of time, in the unit that suits it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return translate("{amount} min").format(amount=round(seconds / 60))
    return f"{seconds / 3600:.1f} h"
