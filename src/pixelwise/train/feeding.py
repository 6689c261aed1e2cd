"""The batches of a run, from the first that is not learnt yet."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pixelwise.data.workers import begun, quiet_worker, worker_died
from pixelwise.train.interrupt import Interrupted, Stopped, StopSignals
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.processes import current

Batch = tuple[Tensor, Tensor, list[str]]
"""Images, masks and file names."""


def batches(plan: TrainingPlan, step: int) -> Iterator[Batch]:
    """The batches from those of `step` on, `accumulate` of them for each step.

    Raises:
        RuntimeError: A process that loads pictures died, see `worker_died`.
    """
    settings, steps = plan.settings, plan.length.steps
    end = len(plan.stream) if steps is None else steps * settings.per_step
    stream: Any = plan.stream
    loader: DataLoader[Any] = DataLoader(
        stream,
        batch_sampler=_order(plan, step * settings.per_step, end),
        num_workers=settings.loaders,
        worker_init_fn=quiet_worker,
        pin_memory=plan.device.startswith("cuda"),
        generator=torch.Generator(),
    )
    for image, mask, files in begun(loader):
        current().tick()  # an error of one process meets the others here
        yield image, mask, list(files)


def _order(plan: TrainingPlan, start: int, end: int) -> Iterable[list[int]]:
    """Which items of the stream come, batch by batch: this process's share of each."""
    settings = plan.settings
    for first in range(start, end, settings.per_batch):
        items = list(range(first, first + settings.per_batch))
        if settings.overfit_one_batch:
            items = [i % settings.per_step for i in items]
        yield current().share(items)


class Waited(Iterator[Batch]):
    """Batches, and how long whoever takes them waits for them."""

    def __init__(self, feed: Iterator[Batch], clock: Callable[[], float] = time.monotonic) -> None:
        self._feed, self._clock, self._seconds = feed, clock, 0.0

    def __next__(self) -> Batch:
        asked = self._clock()
        batch = next(self._feed)
        self._seconds += self._clock() - asked
        return batch

    def since(self) -> float:
        """Seconds that were waited since this was asked last."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def loader_died(error: RuntimeError, signals: StopSignals, steps: int, run: Path) -> NoReturn:
    """Tell that a process that loads pictures was killed after `steps`; other errors go on.

    Raises:
        Interrupted: A signal to the whole group of processes killed it, and reaches this one too.
        Stopped: Anything else, in words.
    """
    if not worker_died(error):
        raise error
    if current().count == 1 and (number := signals.soon()) is not None:
        raise Interrupted(number, steps, run) from error
    raise Stopped(
        f"a process that loads pictures was killed at step {steps + 1}, perhaps for lack of memory,"
        f" shared memory (/dev/shm) too. Go on with fewer 'workers' in {run}/config.yaml:"
        f" pixelwise train --resume {run}"
    ) from error
