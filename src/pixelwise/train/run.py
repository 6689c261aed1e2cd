"""A whole run: settings in, a folder with weights, numbers and pictures out."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.data import Subset

from pixelwise import pictures
from pixelwise.language import translate
from pixelwise.networks.segmenter import load
from pixelwise.outputs import alone
from pixelwise.predict.evaluation import evaluate
from pixelwise.settings import as_plain
from pixelwise.tasks.base import Result
from pixelwise.train import checkpoint
from pixelwise.train.journal import STEPS, VALIDATION, read_rows
from pixelwise.train.loggers.choice import check_installed
from pixelwise.train.loggers.sending import Loggers
from pixelwise.train.loop import Loop
from pixelwise.train.pace import share_waited
from pixelwise.train.plan import TrainingPlan, make_plan
from pixelwise.train.processes import current, joined
from pixelwise.train.record import Record, compare
from pixelwise.train.saved import SETTINGS as SETTINGS
from pixelwise.train.saved import named_folder, naming_settings
from pixelwise.train.saved import read_settings as read_settings
from pixelwise.train.settings import TrainSettings
from pixelwise.train.shared_scoring import SharedScorer
from pixelwise.train.watching import Nobody, Watcher
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
    warnings: tuple[str, ...] = ()
    """What it should have learnt and has not, with remedies; in `metrics.json` too."""


def train(
    settings: TrainSettings,
    watcher: Watcher,
    *,
    resume: Path | None = None,
    command: str = "train",
    accept_changes: bool = False,
    warn: Callable[[str], None] | None = None,
    look: Callable[[str], None] | None = None,
) -> Finished | None:
    """Train, keep the best and the last network, and draw the run's pictures.

    Args:
        settings: The run.
        watcher: Told what happens.
        resume: A run's folder to go on with; `settings` are then those of its `config.yaml`.
        command: Folder under `runs` for new runs.
        accept_changes: Resume where the data changed since the run began.
        warn: Told what is to be thought about while the run goes, by default `watcher.say`; what
            holds at its end is in the result.
        look: Looks at the data set of that name before the masks are read, and raises where it is
            not to be trained on; of a resumed run only where the data changed.

    Returns:
        None where the resumed run is finished already.

    Raises:
        InputError: Before the first step, for anything that cannot work; memory that does not
            suffice; another process at work on the run.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        Stopped: The loss is not finite.
    """
    with joined() as processes:
        if not processes.leads:
            watcher, warn = Nobody(), None
        warn = warn or watcher.say
        check_installed(settings.loggers)
        if resume is None:
            plan = _plan(settings, watcher, look=look)
            run = processes.first(lambda: new_run(settings, command))
            with _held(run):
                if processes.leads:
                    _begin(plan, run)
                return _trained(plan, run, watcher, warn)
        with _held(resume):
            if processes.first((resume / DONE).is_file):
                return None
            trained = processes.first(lambda: _left(resume))
            with naming_settings(resume):
                plan = _plan(settings, watcher, resume / DESCRIPTION if trained else None)
            if processes.leads:
                _go_on(plan, resume, warn, look, trained=trained, accept=accept_changes)
            return _trained(plan, resume, watcher, warn)


@contextmanager
def _held(run: Path) -> Iterator[None]:
    """The run's folder is the first process's, for all of them."""
    with alone(run) if current().leads else nullcontext():
        current().tick()
        yield


def _begin(plan: TrainingPlan, run: Path) -> None:
    """What a new run is, written down."""
    unfinished = run / f"{SETTINGS}.partial"
    unfinished.write_text(to_text(as_plain(plan.settings)), encoding="utf-8")
    unfinished.replace(run / SETTINGS)
    Record.of(plan.settings, plan.data).save(run)
    if plan.settings.start is not None:
        plan.model.described().save(run / DESCRIPTION)


def _left(run: Path) -> bool:
    """Clear what a kill left behind; whether there is a checkpoint."""
    _clean(run)
    Record.load(run)  # a damaged one is told before anything else
    return checkpoint.newest(run) is not None


def _go_on(
    plan: TrainingPlan,
    run: Path,
    warn: Callable[[str], None],
    look: Callable[[str], None] | None,
    *,
    trained: bool,
    accept: bool,
) -> None:
    """Tell what changed since the run began."""
    before, now = Record.load(run), Record.of(plan.settings, plan.data)
    told = compare(run, now, trained=trained, accept=accept)
    if told is not None:
        warn(told)
    if look is not None and plan.settings.check_data and before and now.data_changed(before):
        look(plan.settings.data)
    now.save(run)


def _plan(
    settings: TrainSettings,
    watcher: Watcher,
    described: Path | None = None,
    look: Callable[[str], None] | None = None,
) -> TrainingPlan:
    reading = partial(watcher.busy, "reading masks")
    return make_plan(settings, watcher.say, reading, described=described, look=look)


def _trained(
    plan: TrainingPlan, run: Path, watcher: Watcher, warn: Callable[[str], None]
) -> Finished:
    watcher.say(translate("folder  {run}").format(run=run))
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(plan.settings.deterministic)
    with Loggers(plan.settings, run, watcher.say) as loggers:
        try:
            loop = Loop(plan, run, watcher, loggers, warn)
            state = loop.fit()
            loop.keep(run / "last")
        finally:
            torch.use_deterministic_algorithms(before)
        if current().count > 1 and loop.complete is None:
            loop.complete = _shared_result(plan, run, loop)
        if not current().leads:
            assert loop.complete is not None
            return Finished(run, loop.complete, state.best_step, state.step, state.elapsed, ())
        result, warnings = _finish(plan, run, loop, watcher)
        for file in (run / "curves.png", *sorted((run / "samples").glob("*.png"))):
            loggers.picture(state.step, file.stem, file)
    return Finished(run, result, state.best_step, state.step, state.elapsed, warnings)


def _clean(run: Path) -> None:
    """Remove what a process that was killed left half-written."""
    for left in (*run.glob(".saving-*"), *run.glob("last/.saving-*")):
        shutil.rmtree(left, ignore_errors=True)
    half = ("*.partial", f"{checkpoint.FOLDER}/*.partial", ".*.part", "samples/.*.part")
    for left in (file for pattern in half for file in run.glob(pattern)):
        with suppress(OSError):
            left.unlink()


def new_run(settings: TrainSettings, command: str = "train") -> Path:
    """Make the run's folder: `runs/<command>/<name>`, numbered where it has no name."""
    parent = Path(settings.runs) / command
    return named_folder(parent, settings.name, SETTINGS, "pixelwise train --resume")


def _shared_result(plan: TrainingPlan, run: Path, loop: Loop) -> Result:
    """The scores of the best network on all pictures, which the processes share out."""
    best, processes = load(run).to(loop.fabric.device), current()
    own = range(processes.rank, len(plan.data.val), processes.count)
    counted = best.task.scorer_for(plan.val_inputs)
    return evaluate(
        best,
        Subset(cast(Any, plan.val_inputs), own),
        scorer=SharedScorer(counted, processes, lambda: None),
        window=plan.settings.window,
        device=loop.fabric.device,
        workers=plan.settings.loaders,
    )


def _finish(
    plan: TrainingPlan, run: Path, loop: Loop, watcher: Watcher
) -> tuple[Result, tuple[str, ...]]:
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
        workers=settings.loaders,
        on_picture=draw,
    )
    result = loop.complete or found
    steps, evaluations = read_rows(run / STEPS), read_rows(run / VALIDATION)
    curves = pictures.curves({plan.model.config.arch: steps + evaluations})
    pictures.write_bytes(run / "curves.png", curves)
    warnings = loop.alarms.at_the_end(steps, evaluations, result)
    waited = share_waited(steps)
    drawn = result.picture_files(lambda i: pictures.displayable(plan.data.val[i].image))
    for name, content in {**result.files(), **drawn}.items():
        pictures.write_bytes(run / name, content)
    summary = {
        **result.summary(),
        "best_step": loop.state.best_step,
        "steps": loop.state.step,
        "seconds": round(loop.state.elapsed, 1),
        "validation_pictures": len(plan.data.val),
        "waiting": None if waited is None else round(waited, 4),
        "warnings": list(warnings),
    }
    unfinished = run / f"{DONE}.partial"
    unfinished.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(run / DONE)
    return result, warnings
