"""Making one run of a comparison: trained, or gone on with, then scored."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.jobs import Job
from pixelwise.compare.outcome import NUMBERS
from pixelwise.compare.scoring import outcome_of, slim
from pixelwise.notes import settled
from pixelwise.pictures import write_bytes
from pixelwise.train.interrupt import Stopped
from pixelwise.train.run import train
from pixelwise.train.saved import SETTINGS, read_settings
from pixelwise.train.settings import TrainSettings
from pixelwise.train.watching import Watcher

FAILED = "failed.json"


@settled()
def make_run(
    folder: Path,
    settings: CompareSettings,
    job: Job,
    watcher: Watcher,
    warn: Callable[[str], None],
) -> None:
    """Train and score one run; one that was cut off goes on, one that is finished stays.

    A loss that is not finite is the run's result: it is written down, and nothing is raised.

    Args:
        folder: The comparison's.
        settings: The comparison.
        job: The run.
        watcher: Told what happens.
        warn: Told what is to be thought about.

    Raises:
        InputError: What no run can be made with.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    run = job.folder(folder)
    if is_done(folder, job):
        return
    if run.exists() and not (run / SETTINGS).is_file():  # killed before it began
        shutil.rmtree(run)
    wanted = run_settings(folder, settings, job)
    try:
        if (run / SETTINGS).is_file():
            before = dataclasses.replace(
                read_settings(run),
                data=settings.data,
                device=settings.device,
                workers=settings.workers,
            )
            train(before, watcher, resume=run, warn=warn)
        else:
            train(wanted, watcher, command=run.parent.name, warn=warn)
    except Stopped as stop:
        told = json.dumps({"why": str(stop)}, ensure_ascii=False)
        write_bytes(run / FAILED, told.encode())
        slim(run)
        return
    outcome_of(run, job.arm, job.seed, wanted, settings.split, watcher.busy).save(run)
    slim(run)


def run_settings(folder: Path, settings: CompareSettings, job: Job) -> TrainSettings:
    """What a run is trained with."""
    recipe = settings.recipe()
    run = job.folder(folder)
    return dataclasses.replace(
        recipe,
        seed=job.seed,
        insert=job.arm.plan,
        lr=recipe.lr if job.lr is None else job.lr,
        steps=job.steps,
        time_limit=None if job.seconds is None else f"{job.seconds:.1f}s",
        validations=job.evaluations,
        runs=str(run.parent.parent),
        name=run.name,
        check_data=False,  # the comparison looked at the data
    )


def is_done(folder: Path, job: Job) -> bool:
    """Whether a run needs nothing more."""
    run = job.folder(folder)
    return (run / NUMBERS).is_file() or (run / FAILED).is_file()


def failure(folder: Path, job: Job) -> str | None:
    """Why a run failed; None: it did not."""
    file = job.folder(folder) / FAILED
    if not file.is_file():
        return None
    return str(json.loads(file.read_text(encoding="utf-8"))["why"])
