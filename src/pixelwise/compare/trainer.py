"""What runs in a process of the cluster: it trains and scores runs of a comparison."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pixelwise.cluster.alike import greeting
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.jobs import Job
from pixelwise.compare.running import make_run
from pixelwise.outputs import alone
from pixelwise.tasks.base import Result
from pixelwise.train.interrupt import Interrupted
from pixelwise.train.started import BY_HAND

PAUSE = 1.0
"""Seconds between two times that a run tells how far it is."""
LEFT_WITHIN = 120.0
"""Seconds in which a worker that ended must have left its run's folder."""


@dataclass(frozen=True)
class Setup:
    """All that a worker has to know.

    Args:
        folder: The comparison's, which all machines share.
        settings: The comparison; its device is what a worker has.
        place: The folder that the command was started in, for relative names.
        seen: Files and their sizes, which every machine must see.
        threads: Of the processor.
        notes: The `Notes` of all workers.
    """

    folder: Path
    settings: CompareSettings
    place: Path
    seen: Mapping[Path, int]
    threads: int
    notes: Any


class Notes:
    """How far runs are, and whether they are to stop: a process that all workers tell."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int, float]] = {}
        self._stop = False

    def tell(self, run: str, progress: float, step: int, loss: float) -> bool:
        """Note how far a run is; whether it is to stop."""
        self._told[run] = progress, step, loss
        return self._stop

    def told(self) -> dict[str, tuple[float, int, float]]:
        """Progress (0 to 1), step and loss of runs, by their names."""
        return self._told

    def stop(self) -> None:
        """All runs are to save their state and stop."""
        self._stop = True


class Telling:
    """Looks on while a run goes, and notes it; stops the run as Ctrl-C does where that is wished.

    Args:
        notes: Where.
        run: Its name.
    """

    def __init__(self, notes: Any, run: str) -> None:
        self._notes, self._run = notes, run
        self._last = 0.0, 0, 0.0
        self._told_at = -PAUSE
        self._answer: Any = None

    def say(self, line: str) -> None:
        """Nothing: a line per run is told."""

    def step(self, progress: float, step: int, loss: float, elapsed: float) -> None:
        """After every optimiser step."""
        self._last = progress, step, loss
        self._tell()

    def busy(self, what: str, done: int, total: int) -> None:
        """During anything else that takes time."""
        self._tell()

    def validated(self, step: int, result: Result) -> None:
        """Nothing: the last network alone counts."""

    def _tell(self) -> None:
        if time.monotonic() - self._told_at < PAUSE:
            return
        before, self._told_at = self._answer, time.monotonic()
        self._answer = self._notes.tell.remote(self._run, *self._last).future()
        if before is not None and before.done() and not before.exception() and before.result():
            signal.raise_signal(signal.SIGTERM)


class Trainer:
    """One process of the cluster."""

    def __init__(self) -> None:
        self._setup: Setup | None = None

    def load(self, setup: Setup) -> dict[str, str]:
        """Look whether the folders are seen; gives versions, and the host.

        Raises:
            InputError: One is not seen here.
        """
        hello = greeting(setup.seen)
        for name in [n for n in os.environ if n in BY_HAND or n.startswith("SLURM_")]:
            del os.environ[name]  # of whatever started Ray here: a run has one process
        with suppress(OSError):
            os.chdir(setup.place)
        torch.set_num_threads(setup.threads)
        self._setup = setup
        return hello

    def run(self, job: Job) -> tuple[str, ...]:
        """Train and score a run, or go on with it; gives what is to be thought about.

        Raises:
            InputError: What no run can be made with.
            SystemExit: This process was asked to stop. The state is saved, and as the process ends,
                the run is given to another.
        """
        setup = self._setup
        assert setup is not None
        run, warned = job.folder(setup.folder), list[str]()
        if run.is_dir():
            with alone(run, LEFT_WITHIN):
                pass
        try:
            make_run(
                setup.folder, setup.settings, job, Telling(setup.notes, told(job)), warned.append
            )
        except Interrupted as stop:
            raise SystemExit(0) from stop  # with other codes Ray says more than that it ended
        return tuple(warned)


def told(job: Job) -> str:
    """A job's name for people."""
    return f"{job.arm.name}, {job.name.replace('_', ' ')}"
