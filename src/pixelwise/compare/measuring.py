"""Measuring what arms cost: each in turns with `none`, so that both feel the same noise.

A training step is that of a run: real crops, the loss, backward and the optimiser. Of an arm the
ratio to `none` is taken from medians of steps that took turns, and multiplied by the median of all
steps of `none`. At most two networks are in memory.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

import torch

from pixelwise import cost
from pixelwise.compare.arms import NONE, Arm
from pixelwise.compare.costs import Costs
from pixelwise.compare.planning import Prepared
from pixelwise.cost import measured
from pixelwise.errors import InputError, in_one_line
from pixelwise.networks.segmenter import Segmenter
from pixelwise.shortage import is_shortage
from pixelwise.train.engine import engine
from pixelwise.train.feeding import Batch
from pixelwise.train.learning import Learner
from pixelwise.train.network import Network

LEAST, ENOUGH, MOST = 3, 7, 15
"""Turns: of steady times, of times that another program disturbed, and where time is left."""
STEADY = 1.5
"""Times of which the longest is no longer than this many times the shortest."""
SECONDS = 60.0
"""For the turns of all arms together, where the least number takes no longer."""


def measure(
    begun: Prepared,
    arms: Sequence[Arm],
    busy: Callable[[str, int, int], None],
) -> dict[str, Costs]:
    """Costs of every arm, by name; what does not run has no times, but a reason.

    Args:
        begun: Data, recipe and host.
        arms: What is measured.
        busy: Told of the progress.
    """
    batch = _batch(begun)
    base = _Subject(begun, Arm(NONE), batch)
    base.warm_up()
    taken: dict[str, tuple[float, float]] = {}
    found: dict[str, Costs] = {}
    own: list[tuple[float, float]] = []
    for number, arm in enumerate(arms):
        busy("measuring", number, len(arms))
        try:
            subject = _Subject(begun, arm, batch)
            subject.warm_up()
            times = _in_turns(subject, base, SECONDS / len(arms))
        except (InputError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not is_shortage(error):
                raise
            found[arm.name] = Costs(0, 0, None, None, None, why=in_one_line(error, 200))
            continue
        own += times[1]
        taken[arm.name] = _ratios(*times)
        found[arm.name] = subject.counted()
    busy("measuring", len(arms), len(arms))
    step, inference = (1000 * statistics.median(one) for one in zip(*own, strict=True))
    for name, (by_step, by_inference) in taken.items():
        found[name] = dataclasses.replace(
            found[name], step_ms=by_step * step, inference_ms=by_inference * inference
        )
    return found


class _Subject:
    """An arm's network, ready to make steps and to answer."""

    def __init__(self, begun: Prepared, arm: Arm, batch: Batch) -> None:
        plan, settings = begun.plan, begun.recipe
        self._batch = batch
        network = begun.network(arm)
        network.config = plan.model.config
        self._plan = dataclasses.replace(plan, network=Network(network))
        self._learner = Learner(self._plan, engine(self._plan))
        self._picture = self._batch[0][:1].to(plan.device)
        self._settings = settings

    @property
    def network(self) -> Segmenter:
        """The network itself."""
        return self._plan.model

    def warm_up(self) -> None:
        """What a first step and a first answer take more is not counted."""
        self.step()
        self.answer()

    def step(self) -> float:
        """Seconds of a training step."""
        self.network.train()
        feed: Iterator[Batch] = repeat(self._batch)
        return self._timed(lambda: self._learner.step(0, feed, self._settings.peak_lr))

    @torch.no_grad()
    def answer(self) -> float:
        """Seconds of an answer to one picture."""
        self.network.eval()
        return self._timed(lambda: self.network(self._picture))

    def _timed(self, call: Callable[[], object]) -> float:
        start = time.perf_counter()
        call()
        if self._picture.is_cuda:
            torch.cuda.synchronize(self._picture.device)
        return time.perf_counter() - start

    def counted(self) -> Costs:
        """What is counted, not timed."""
        network = self.network
        peak = measured(self.step, self._picture.device).peak_bytes
        network.eval()
        with torch.no_grad():
            operations = cost.flops(network, self._picture)
        return Costs(cost.parameters(network), operations, None, None, peak / 2**20)


def _batch(begun: Prepared) -> Batch:
    """The first crops of the comparison."""
    items = [begun.plan.stream[number] for number in range(begun.recipe.per_batch)]
    images, masks, names = zip(*items, strict=True)
    return torch.stack(images), torch.stack(masks), list(names)


def _in_turns(
    subject: _Subject, base: _Subject, seconds: float
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(step, answer) of both, turn by turn."""
    first, second = list[tuple[float, float]](), list[tuple[float, float]]()
    begun = time.perf_counter()
    while len(first) < MOST and (
        len(first) < _wanted(first, second) or time.perf_counter() - begun < seconds
    ):
        first.append((subject.step(), subject.answer()))
        second.append((base.step(), base.answer()))
    return first, second


def _wanted(*taken: Sequence[tuple[float, float]]) -> int:
    """How many turns there must be, whatever time they take."""
    steps = [[step for step, _ in each] for each in taken if each]
    steady = all(max(each) <= STEADY * min(each) for each in steps)
    return LEAST if steady else ENOUGH


def _ratios(
    own: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    step, answer = (
        statistics.median(mine) / statistics.median(theirs)
        for mine, theirs in zip(zip(*own, strict=True), zip(*base, strict=True), strict=True)
    )
    return step, answer
