"""Workers, and jobs that are given to them, each until it is done once.

A worker has few jobs, of which all but one wait. When a worker ends, whoever killed it, its jobs
go to others and a new one takes its place. Only the process here takes results, each of them once.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pixelwise.cluster.alike import versions
from pixelwise.errors import InputError, in_one_line
from pixelwise.language import translate

ATTEMPTS = 3
"""So many workers may end while they work on one and the same job."""
PATIENCE = 300.0
"""Seconds without any worker after which there is no hope."""
LOOKED = 1.0
"""Seconds between two looks at what goes on, at most."""


@dataclass(frozen=True)
class Share:
    """What a worker takes of a machine.

    Args:
        cpus: Cores.
        gpus: Share of a GPU.
    """

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Kind:
    """What workers are, and what is said of them.

    Args:
        actor: Their class. Its `load` takes the setup and gives `alike.greeting`; other methods
            take a job.
        begins: What one does before its first job, for messages.
        remedy: What helps where workers end at their work.
        extras: Of the package, which every machine needs.
        at_once: Jobs that a worker has: one that it works on, and others that wait.
    """

    actor: type
    begins: str
    remedy: str
    extras: str
    at_once: int = 2


@dataclass(eq=False)
class _Hand:
    actor: Any
    loading: Any
    ready: bool = False
    jobs: list[int] = field(default_factory=list)


class Pool:
    """Workers of a cluster.

    Args:
        ray: The module, connected.
        kind: What they are.
        setup: What they are told at first.
        count: How many there are.
        share: What each takes.
        warn: Told what happens to workers.
    """

    def __init__(
        self,
        ray: Any,
        kind: Kind,
        setup: Any,
        count: int,
        share: Share,
        warn: Callable[[str], None],
    ) -> None:
        self._ray, self._kind, self._share, self._warn = ray, kind, share, warn
        self.count = count
        self._setup = ray.put(setup)
        self._hands: list[_Hand] = []
        self._running: dict[Any, tuple[_Hand, int]] = {}
        self._failed_starts = 0
        self._alone_since = time.monotonic()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            with suppress(Exception):
                self._ray.kill(hand.actor)
        self._hands = []

    def run(
        self,
        ask: str,
        jobs: Sequence[Any],
        name: Callable[[Any], str],
        look: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Any, Any]]:
        """Each job and what came of it, in any order: a result, or an InputError.

        Args:
            ask: The method of workers that takes a job.
            jobs: What there is to do.
            name: Of a job, for messages.
            look: Called again and again meanwhile.

        Raises:
            InputError: No worker can be had, or the cluster is lost.
        """
        try:
            yield from self._run(ask, jobs, name, look)
        except (self._ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            raise InputError(
                f"cluster: was lost ({in_one_line(error, 200)}); what is written stays, start the"
                " command again"
            ) from error

    def settle(self, seconds: float) -> None:
        """Wait for what workers are at, so long at most."""
        if at := list(self._running):
            self._ray.wait(at, num_returns=len(at), timeout=seconds)

    def _run(
        self,
        ask: str,
        jobs: Sequence[Any],
        name: Callable[[Any], str],
        look: Callable[[], None],
    ) -> Iterator[tuple[Any, Any]]:
        waiting = deque(range(len(jobs)))
        running = self._running = {}
        ends = [0] * len(jobs)
        while waiting or running:
            open_jobs = len(waiting) + len(running)
            while len(self._hands) < min(self.count, open_jobs):
                self._start()
            for hand in sorted(self._hands, key=lambda hand: len(hand.jobs)):
                while hand.ready and waiting and len(hand.jobs) < self._kind.at_once:
                    job = waiting.popleft()
                    hand.jobs.append(job)
                    running[getattr(hand.actor, ask).remote(jobs[job])] = hand, job
            loading = {hand.loading: hand for hand in self._hands if not hand.ready}
            done, _ = self._ray.wait([*running, *loading], num_returns=1, timeout=LOOKED)
            for ref in done:
                if ref in loading:
                    self._greet(loading[ref])
                    continue
                if ref not in running:  # of a worker that ended meanwhile
                    continue
                hand, job = running.pop(ref)
                try:
                    found = self._ray.get(ref)
                except self._ray.exceptions.RayTaskError as error:
                    hand.jobs.remove(job)
                    yield jobs[job], _told(error)
                except self._ray.exceptions.RayError as error:
                    first = hand.jobs[0]  # they are worked on in this order
                    ends[first] += 1
                    back = [number for number in hand.jobs if ends[number] < ATTEMPTS]
                    gave_up = [number for number in hand.jobs if ends[number] >= ATTEMPTS]
                    for other in [r for r, (h, _) in running.items() if h is hand]:
                        del running[other]
                    waiting.extendleft(reversed(back))
                    given = (
                        translate("1 task goes")
                        if len(back) == 1
                        else translate("{back} tasks go").format(back=len(back))
                    )
                    self._gone(hand, error, translate("{given} to others").format(given=given))
                    for number in gave_up:
                        yield jobs[number], self._hopeless(name(jobs[number]), error)
                else:
                    hand.jobs.remove(job)
                    yield jobs[job], found
            self._check_hope()
            look()

    def _start(self) -> None:
        remote = self._ray.remote(self._kind.actor).options(
            num_cpus=self._share.cpus,
            num_gpus=self._share.gpus,
            max_restarts=0,
            max_task_retries=0,
        )
        actor = remote.remote()
        self._hands.append(_Hand(actor, actor.load.remote(self._setup)))

    def _greet(self, hand: _Hand) -> None:
        """A worker is ready, or not."""
        try:
            found = self._ray.get(hand.loading)
        except self._ray.exceptions.RayTaskError as error:
            told = _told(error)
            raise InputError(f"cluster: a worker cannot start; {told}") from error
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            text = in_one_line(error, 2000)
            if "No module named" in text:
                raise InputError(
                    f"cluster: a machine lacks a package ({_missing(text)}); pip install"
                    f" 'pixelwise[{self._kind.extras}]' on every machine"
                ) from error
            if self._failed_starts >= ATTEMPTS:
                raise InputError(
                    f"cluster: workers end while they {self._kind.begins} ({_reason(error)}); give"
                    " them more memory, or take fewer"
                ) from error
            self._gone(hand, error, translate("another is started"))
            return
        self._failed_starts = 0
        here = versions()
        for what, version in here.items():
            if found[what] != version:
                raise InputError(
                    f"cluster: {what} is {found[what]} on {found['host']} and {version} here;"
                    " install the same everywhere"
                )
        hand.ready = True

    def _gone(self, hand: _Hand, error: Exception, then: str) -> None:
        self._warn(
            translate("cluster: a worker ended ({reason}); {then}").format(
                reason=_reason(error), then=then
            )
        )
        with suppress(Exception):
            self._ray.kill(hand.actor)
        self._hands.remove(hand)

    def _hopeless(self, name: str, error: Exception) -> InputError:
        return InputError(
            f"{name}: {ATTEMPTS} workers ended while they worked on it ({_reason(error)});"
            f" {self._kind.remedy}"
        )

    def _check_hope(self) -> None:
        if any(hand.ready for hand in self._hands) or not self._hands:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > PATIENCE:
            raise InputError(
                f"cluster: no worker began in {PATIENCE:.0f} s, each of {self._share.cpus:g} cores"
                f" and {self._share.gpus:g} GPUs; see `ray status`, or take fewer workers"
            )


def _told(error: Any) -> InputError:
    """What a worker raised."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, InputError):
        return cause
    return InputError(f"cluster: a task failed ({in_one_line(cause or error, 300)}); report it")


def _reason(error: Exception) -> str:
    text = str(error)
    if "memory" in type(error).__name__.lower() or "low on memory" in text:
        return "out of memory"
    if "node" in text.lower() and ("died" in text or "dead" in text) and "process" not in text:
        return "its machine is gone"
    return "it was killed or crashed"


def _missing(text: str) -> str:
    return text.partition("No module named")[2].strip().split()[0].strip("'\"")
