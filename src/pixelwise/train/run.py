"""A whole run: settings in, a folder with weights, numbers and pictures out."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.data import Subset

from pixelwise import pictures
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import load
from pixelwise.outputs import alone, refuse_used
from pixelwise.predict.evaluation import evaluate
from pixelwise.settings import as_plain, numbered_folder
from pixelwise.tasks.base import Result
from pixelwise.train import checkpoint
from pixelwise.train.journal import STEPS, VALIDATION, read_rows
from pixelwise.train.loggers.choice import check_installed
from pixelwise.train.loggers.sending import Loggers
from pixelwise.train.loop import Loop
from pixelwise.train.plan import TrainingPlan, make_plan
from pixelwise.train.record import Record, compare
from pixelwise.train.saved import SETTINGS as SETTINGS
from pixelwise.train.saved import read_settings as read_settings
from pixelwise.train.settings import TrainSettings
from pixelwise.train.watching import Watcher
from pixelwise.yaml_files import to_text

DESCRIPTION = "network.json"
"""Describes the network of a run that started from another one, insertions included."""
DONE = "metrics.json"
SAMPLES = 6


@dataclass(frozen=True)
class Finished:
    """What came out of a run."""

    run: Path
    result: Result
    """Of the best network on val."""
    best_step: int
    steps: int
    seconds: float


def train(
    settings: TrainSettings,
    watcher: Watcher,
    *,
    resume: Path | None = None,
    command: str = "train",
    accept_changes: bool = False,
    warn: Callable[[str], None] | None = None,
) -> Finished | None:
    """Train, keep the best and the last network, and draw the run's pictures.

    Args:
        settings: The run.
        watcher: Told what happens.
        resume: A run's folder to go on with; `settings` are then those of its `config.yaml`.
        command: Folder under `runs` for new runs.
        accept_changes: Resume where the data's classes are others than when the run began.
        warn: Told what is to be thought about; by default `watcher.say`.

    Returns:
        None where the resumed run is finished already.

    Raises:
        InputError: Before the first step, for anything that cannot work; memory that does not
            suffice; another process at work on the run.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        Stopped: The loss is not finite.
    """
    warn = warn or watcher.say
    check_installed(settings.loggers)
    if resume is None:
        plan = _plan(settings, watcher)
        run = new_run(settings, command)
        with alone(run):
            (run / SETTINGS).write_text(to_text(as_plain(plan.settings)), encoding="utf-8")
            Record.of(plan.settings, plan.data).save(run)
            if settings.start is not None:
                plan.model.described().save(run / DESCRIPTION)
            return _trained(plan, run, watcher, warn)
    with alone(resume):
        if (resume / DONE).is_file():
            return None
        for left in (*resume.glob(".saving-*"), *resume.glob("last/.saving-*")):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
        trained = checkpoint.newest(resume) is not None
        plan = _plan(settings, watcher, resume / DESCRIPTION if trained else None)
        now = Record.of(plan.settings, plan.data)
        told = compare(resume, now, trained=trained, accept=accept_changes)
        if told is not None:
            warn(told)
        now.save(resume)
        return _trained(plan, resume, watcher, warn)


def _plan(settings: TrainSettings, watcher: Watcher, described: Path | None = None) -> TrainingPlan:
    reading = partial(watcher.busy, "reading masks")
    return make_plan(settings, watcher.say, reading, described=described)


def _trained(
    plan: TrainingPlan, run: Path, watcher: Watcher, warn: Callable[[str], None]
) -> Finished:
    watcher.say(f"folder  {run}")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(plan.settings.deterministic)
    with Loggers(plan.settings, run, watcher.say) as loggers:
        try:
            loop = Loop(plan, run, watcher, loggers)
            state = loop.fit()
            loop.keep(run / "last")
        finally:
            torch.use_deterministic_algorithms(before)
        result = _finish(plan, run, loop, watcher)
        for file in (run / "curves.png", *sorted((run / "samples").glob("*.png"))):
            loggers.picture(state.step, file.stem, file)
    if (told := result.warning()) is not None:
        warn(told)
    return Finished(run, result, state.best_step, state.step, state.elapsed)


def new_run(settings: TrainSettings, command: str = "train") -> Path:
    """Make the run's folder: `runs/<command>/<name>`, numbered where it has no name."""
    parent = Path(settings.runs) / command
    if settings.name is None:
        return numbered_folder(parent)
    run = parent / settings.name
    if (run / SETTINGS).exists():
        raise InputError(
            f"{run}: exists; choose another --name, or go on: pixelwise train --resume {run}"
        )
    refuse_used(run, "choose another --name")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{run}: cannot make the run's folder ({error.strerror}); choose another --name"
        ) from error
    return run


def _finish(plan: TrainingPlan, run: Path, loop: Loop, watcher: Watcher) -> Result:
    """Scores and pictures of the best network; `metrics.json` last, as the sign of the end."""
    best = load(run).to(loop.fabric.device)
    settings, count = plan.settings, len(plan.data.val)
    chosen = range(0, count, max(1, count // SAMPLES))
    looked_at = chosen if loop.complete is not None else range(count)

    def draw(index: int, answer: torch.Tensor, target: torch.Tensor) -> None:
        watcher.busy("evaluating", index + 1, len(looked_at))
        if (number := looked_at[index]) in chosen:
            sample = plan.data.val[number]
            picture = best.task.picture(pictures.displayable(sample.image), target, answer)
            path = run / "samples" / f"{number:04d}_{Path(sample.name).stem}.png"
            pictures.write_bytes(path, pictures.png(picture))

    found = evaluate(
        best,
        Subset(cast(Any, plan.val_inputs), looked_at),
        scorer=best.task.scorer_for(plan.val_inputs),
        window=settings.window,
        device=loop.fabric.device,
        workers=settings.workers,
        on_picture=draw,
    )
    result = loop.complete or found
    rows = read_rows(run / STEPS) + read_rows(run / VALIDATION)
    pictures.write_bytes(run / "curves.png", pictures.curves({plan.model.config.arch: rows}))
    drawn = result.picture_files(lambda i: pictures.displayable(plan.data.val[i].image))
    for name, content in {**result.files(), **drawn}.items():
        pictures.write_bytes(run / name, content)
    summary = {
        **result.summary(),
        "best_step": loop.state.best_step,
        "steps": loop.state.step,
        "seconds": round(loop.state.elapsed, 1),
        "validation_pictures": len(plan.data.val),
    }
    unfinished = run / f"{DONE}.partial"
    unfinished.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(run / DONE)
    return result
