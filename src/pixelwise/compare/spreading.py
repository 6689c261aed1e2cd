"""The runs of a comparison on a cluster (Ray): each is a job of a worker.

A run is what lies in its folder, which all machines share. So where a worker ends, another one goes
on from the run's checkpoint, and a second start makes only what is missing.
"""

import dataclasses
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pixelwise.cluster.pool import Kind, Pool
from pixelwise.cluster.workers import Cluster, cluster_at
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.jobs import Job
from pixelwise.compare.running import is_done
from pixelwise.compare.trainer import Notes, Setup, Trainer, told
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.train.watching import Watcher

TRAINING = Kind(
    Trainer,
    begins="begin",
    remedy="give them more memory, or fewer runs --at-once; the same command goes on",
    extras="cluster",
    at_once=1,  # a run that waits for another would be late
)
SAVED_WITHIN = 60.0
"""Seconds that runs have for saving their state, where the command ends early."""
SEEN_WITHIN = 90.0
"""Seconds until a file of another machine must be seen here; file systems keep lists so long."""


def spread(
    folder: Path,
    settings: CompareSettings,
    jobs: Sequence[Job],
    watcher: Watcher,
    warn: Callable[[str], None],
) -> Iterator[Job]:
    """Make runs on the cluster that the settings name; gives each as soon as it is finished.

    Args:
        folder: The comparison's, which all machines of the cluster share.
        settings: The comparison.
        jobs: The runs, those first that are to begin first.
        watcher: Told what happens.
        warn: Told what happens to workers, and what is to be thought about.

    Raises:
        InputError: The cluster cannot be used, does not see the folder or the data, or a run cannot
            be made; the others have saved their state.
    """
    assert settings.cluster is not None
    folder = folder.absolute()
    done = [job for job in jobs if is_done(folder, job)]
    yield from done
    jobs = [job for job in jobs if job not in done]
    if not jobs:
        return
    with (
        cluster_at(
            settings.cluster,
            workers=settings.at_once,
            gpu_share=settings.gpu_share,
            device=settings.device,
            warn=warn,
        ) as cluster,
        _mark(folder) as mark,
    ):
        watcher.say(_line(settings.cluster, cluster))
        notes = cluster.ray.remote(Notes).options(num_cpus=0).remote()
        data = Path(settings.data).absolute()
        seen = {path: path.stat().st_size for path in (mark, data) if path.is_file()}
        own = dataclasses.replace(settings, device=cluster.device)
        setup = Setup(folder, own, Path.cwd(), seen, cluster.threads, notes)
        look = _Looking(notes, watcher, len(jobs))
        with (
            Pool(cluster.ray, TRAINING, setup, cluster.workers, cluster.share, warn) as pool,
            _saved(cluster.ray, notes, pool, watcher),
        ):
            for job, found in pool.run("run", jobs, told, look):
                if isinstance(found, InputError):
                    raise InputError(f"{told(job)}: {found}")
                _wait_for(folder, job)
                for line in found:
                    warn(f"{told(job)}: {line}")
                look.finished(told(job))
                yield job


class _Looking:
    """Shows how far all runs are together."""

    def __init__(self, notes: Any, watcher: Watcher, runs: int) -> None:
        self._notes, self._watcher, self._runs = notes, watcher, runs
        self._begun = time.monotonic()
        self._answer: Any = None
        self._finished: set[str] = set()

    def finished(self, run: str) -> None:
        """Count a run as done."""
        self._finished.add(run)

    def __call__(self) -> None:
        """Show what was told since."""
        before = self._answer
        if before is not None and not before.done():
            return
        self._answer = self._notes.told.remote().future()
        if before is None or before.exception():
            return
        runs = before.result()
        going = [one for name, one in runs.items() if name not in self._finished]
        if going:
            done = len(self._finished) + sum(min(progress, 1.0) for progress, _, _ in going)
            steps = sum(step for _, step, _ in runs.values())
            loss = sum(loss for _, _, loss in going) / len(going)
            elapsed = time.monotonic() - self._begun
            self._watcher.step(done / self._runs, steps, loss, elapsed)


@contextmanager
def _saved(ray: Any, notes: Any, pool: Pool, watcher: Watcher) -> Iterator[None]:
    """Let runs save their state where the block is left early; a second Ctrl-C does not wait."""
    with _terminated_as_by_ctrl_c():
        try:
            yield
        except BaseException:
            with suppress(Exception):
                watcher.say(translate("runs save their state ..."))
                ray.get(notes.stop.remote(), timeout=SAVED_WITHIN)
                pool.settle(SAVED_WITHIN)
            raise


@contextmanager
def _terminated_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt; not in threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def _mark(folder: Path) -> Iterator[Path]:
    """A file that shows a machine whether it sees this folder, and not another of its name."""
    with tempfile.NamedTemporaryFile(prefix=".shared-", dir=folder) as file:
        yield Path(file.name)


def _wait_for(folder: Path, job: Job) -> None:
    """Wait until what a worker wrote is seen here."""
    until = time.monotonic() + SEEN_WITHIN
    while not is_done(folder, job):
        if time.monotonic() > until:
            raise InputError(
                f"{job.folder(folder)}: what a worker wrote there is not seen here; keep runs on a"
                " file system that all machines share"
            )
        time.sleep(0.2)


def _line(place: str, cluster: Cluster) -> str:
    share, count = cluster.share, cluster.workers
    each = f"{share.gpus:g} GPU" if share.gpus else f"{cluster.threads} thread"
    if not share.gpus and cluster.threads > 1:
        each += "s"
    line = translate("cluster {place}: {count} runs at once, each with {each}").format(
        place=place, count=count, each=each
    )
    if count == 1 and cluster.threads > 1:
        line += translate("; --at-once 2 makes two with half of them")
    return line
