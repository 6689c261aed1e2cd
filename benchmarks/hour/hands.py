"""Processes that do the jobs, so that one that breaks its card, or never ends, costs itself alone.

A card answers nothing more to a process that read where nothing is; another process begins anew.
"""

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Protocol

from hour.checks import Row, in_a_line
from hour.jobs import Job, perform

LEAST = 5.0
"""Seconds that have to be left for a job to be begun."""


class Hand(Protocol):
    """Who does one job at a time."""

    def done(self, job: Job, seconds: float, ceilings: Mapping[str, float]) -> list[Row]:
        """The rows of a job, which ends after `seconds` if it has not before."""
        ...

    def stop(self) -> None:
        """Give up what is being done."""
        ...


class Process:
    """One process, begun when it is needed, and again when it broke."""

    def __init__(self, dry: bool) -> None:
        self._dry, self._process, self._line = dry, None, None

    def done(self, job: Job, seconds: float, ceilings: Mapping[str, float]) -> list[Row]:
        """As a hand's."""
        if self._process is None:
            self._begin()
        try:
            self._line.send((job, dict(ceilings)))
            if not self._line.poll(seconds):
                self.stop()
                return [job.about() | {"message": f"given up after {seconds:.0f} s"}]
            rows, broken = self._line.recv()
        except (EOFError, OSError) as error:
            self._process.join(5)
            code = self._process.exitcode
            self.stop()
            return [
                job.about() | {"message": f"its process ended, code {code}: {in_a_line(error)}"}
            ]
        if broken:
            self.stop()
        return rows

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._dry), daemon=True)
        self._process.start()
        other.close()

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._line.close()
        self._process = self._line = None


def _serve(line: Connection, dry: bool) -> None:
    try:
        while True:
            job, ceilings = line.recv()
            line.send(perform(job, dry, ceilings))
    except (EOFError, KeyboardInterrupt):
        return


class Budget:
    """The time there is, and what is left of it."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.clock, self.begun = seconds, clock, clock()

    def left(self, share: float = 1.0) -> float:
        """Seconds until so much of the whole is over."""
        return self.begun + share * self.seconds - self.clock()


def work(
    jobs: Sequence[Job],
    hands: Sequence[Hand],
    left: Callable[[], float],
    ceilings: Mapping[str, float],
    keep: Callable[[Job, list[Row]], None],
) -> list[Job]:
    """Do the jobs in turn, each by the first free hand; those that did not fit come back."""
    queue, skipped, lock = deque(jobs), [], threading.Lock()

    def one(hand: Hand) -> None:
        while True:
            with lock:
                if not queue:
                    return
                job, seconds = queue.popleft(), left()
                if seconds < LEAST:
                    skipped.append(job)
                    continue
            try:
                rows = hand.done(job, min(job.most, seconds), ceilings)
            except Exception as error:
                hand.stop()
                rows = [job.about() | {"message": in_a_line(error)}]
            with lock:
                keep(job, rows)

    if len(hands) == 1:
        one(hands[0])
        return skipped
    threads = [threading.Thread(target=one, args=(hand,), daemon=True) for hand in hands]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        with lock:
            queue.clear()
        raise
    return skipped
