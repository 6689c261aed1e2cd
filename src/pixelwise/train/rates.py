"""Looking for a learning rate: it rises from step to step, and the loss tells how far is too far.

With the rate a function of the step k = 0 .. n-1,

    rate(k) = low (high / low)^(k / (n - 1))

the loss hardly moves at first, falls where steps are of a useful size, and explodes where they are
too large. Proposed is the middle of the decade in which it falls most.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017,
https://arxiv.org/abs/1506.01186.
"""

import copy
import dataclasses
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pixelwise.data.workers import ending_workers, worker_died
from pixelwise.language import translate
from pixelwise.train.engine import engine
from pixelwise.train.feeding import batches
from pixelwise.train.interrupt import Interrupted, Stopped, StopSignals
from pixelwise.train.learning import Learner, NotFinite
from pixelwise.train.memory import enough_memory, refuse_hopeless
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.settings import TrainSettings
from pixelwise.train.watching import Watcher

LOW, HIGH, STEPS = 1e-7, 10.0, 100
DECADE = round((STEPS - 1) / math.log10(HIGH / LOW))
"""Steps in which the rate rises tenfold."""
EXPLODED = 4.0
"""Times the lowest loss: here the search ends."""
BLUR = DECADE / 2
"""Steps over which losses of single batches are smoothed, as the deviation of a Gaussian."""
LEAST_FALL = 0.01
"""Part of the loss; where it falls less, there is nothing to propose."""


@dataclass(frozen=True)
class Search:
    """What the rising rate showed.

    Args:
        rates: Step by step.
        losses: Of one batch each.
        smooth: The losses, smoothed.
        ended: Why it ended, in words.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    ended: str

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss was lowest."""
        return self.rates[self.smooth.index(min(self.smooth))]

    @property
    def proposed(self) -> float | None:
        """The middle of the decade in which the loss falls most; None where it fell nowhere."""
        if len(self.rates) <= DECADE:
            return None
        end = max(self.smooth.index(min(self.smooth)), DECADE)
        falls = [self.smooth[i - DECADE] - self.smooth[i] for i in range(DECADE, end + 1)]
        pairs = zip(self.losses[: end + 1], self.smooth, strict=False)
        noise = statistics.fmean(abs(loss - smooth) for loss, smooth in pairs)
        level = statistics.fmean(self.smooth[:DECADE])
        if max(falls) <= max(noise, LEAST_FALL * abs(level)):
            return None
        return self.rates[falls.index(max(falls)) + DECADE // 2]


def shortened(settings: TrainSettings) -> TrainSettings:
    """The settings of a run, with the length of a search."""
    return dataclasses.replace(settings, epochs=None, time_limit=None, steps=STEPS, ema=0.0)


def search(plan: TrainingPlan, run: Path, watcher: Watcher) -> Search:
    """Let the rate rise on the plan's own data, network and batches.

    The network's weights and statistics are put back afterwards, whatever happens.

    Args:
        plan: Made of `shortened` settings.
        run: A folder, for messages.
        watcher: Told of every step.

    Raises:
        Interrupted: Ctrl-C or SIGTERM.
        Stopped: The loss is not finite in the first step, or a loader process was killed.
        InputError: Too little memory.
    """
    before = copy.deepcopy(plan.model.state_dict())
    try:
        with (
            torch.random.fork_rng(devices=[]),
            StopSignals() as signals,
            ending_workers(),
            enough_memory(plan, run),
        ):
            refuse_hopeless(plan)
            return _search(plan, run, watcher, signals)
    except RuntimeError as error:
        if not worker_died(error):
            raise
        raise Stopped(
            "a process that loads pictures was killed, perhaps for lack of memory, shared memory"
            " (/dev/shm) too; lower --workers"
        ) from error
    finally:
        plan.model.load_state_dict(before)


def _search(plan: TrainingPlan, run: Path, watcher: Watcher, signals: StopSignals) -> Search:
    learner = Learner(plan, engine(plan))
    feed = batches(plan, 0)
    begun = time.monotonic()
    rates: list[float] = []
    losses: list[float] = []
    ended = translate("all {steps} steps are made").format(steps=STEPS)
    for step in range(STEPS):
        if signals.received is not None:
            raise Interrupted(signals.received, step, run)
        rate = LOW * (HIGH / LOW) ** (step / (STEPS - 1))
        try:
            loss = learner.step(step, feed, rate).loss
        except NotFinite as error:
            told = translate("the {what} is not finite in the batch of {names}").format(
                what=error.what, names=", ".join(error.names)
            )
            if step == 0:
                raise Stopped(
                    translate("{told}, at the start already; look at those pictures").format(
                        told=told
                    )
                ) from error
            ended = translate("{told}, at a rate of {rate:.2g}").format(told=told, rate=rate)
            break
        rates.append(rate)
        losses.append(loss)
        watcher.step((step + 1) / STEPS, step + 1, loss, time.monotonic() - begun)
        if loss > explosion(losses):
            ended = translate("the loss exploded at a rate of {rate:.2g}").format(rate=rate)
            break
    return Search(tuple(rates), tuple(losses), tuple(smoothed(losses)), ended)


def explosion(losses: Sequence[float]) -> float:
    """The loss from which on it counts as exploded: four times the lowest, also below zero.

    Single batches near a loss of 0 do not count: the lowest is taken as a tenth of the first at
    least.
    """
    best = min(losses)
    return best + (EXPLODED - 1) * max(abs(best), 0.1 * abs(losses[0]))


def smoothed(losses: Sequence[float]) -> list[float]:
    """The losses, each the mean of its neighbours with the weights of a Gaussian.

    An explosion counts as what ended the search, lest it reach back to the steps before.
    """
    if not losses:
        return []
    most = explosion(losses)
    clipped = [min(loss, most) for loss in losses]
    found = []
    for at in range(len(clipped)):
        weights = [math.exp(-(((i - at) / BLUR) ** 2) / 2) for i in range(len(clipped))]
        total = sum(w * loss for w, loss in zip(weights, clipped, strict=True))
        found.append(total / sum(weights))
    return found
