"""A whole run: settings in, a folder with weights, numbers and pictures out."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from pixelwise import pictures
from pixelwise.errors import InputError
from pixelwise.metrics import Scores
from pixelwise.networks.segmenter import load
from pixelwise.predict.evaluation import evaluate
from pixelwise.settings import as_plain, checked, numbered_folder
from pixelwise.train import checkpoint
from pixelwise.train.journal import STEPS, VALIDATION, read_rows
from pixelwise.train.loop import Loop, Watcher
from pixelwise.train.plan import TrainingPlan, make_plan
from pixelwise.train.settings import TrainSettings
from pixelwise.yaml_files import read, to_text

SETTINGS = "config.yaml"
DESCRIPTION = "network.json"
"""Describes the network of a run that started from another one, insertions included."""
DONE = "metrics.json"
SAMPLES = 6


@dataclass(frozen=True)
class Finished:
    """What came out of a run."""

    run: Path
    names: tuple[str, ...]
    scores: Scores
    """Of the best network on val."""
    best_step: int
    steps: int
    seconds: float


def train(
    settings: TrainSettings, watcher: Watcher, *, resume: Path | None = None, command: str = "train"
) -> Finished | None:
    """Train, keep the best and the last network, and draw the run's pictures.

    Args:
        settings: The run.
        watcher: Told what happens.
        resume: A run's folder to go on with; `settings` are then those of its `config.yaml`.
        command: Folder under `runs` for new runs.

    Returns:
        None where the resumed run is finished already.

    Raises:
        InputError: Before the first step, for anything that cannot work.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        Stopped: The loss is not finite.
    """
    if resume is not None and (resume / DONE).is_file():
        return None
    reading = partial(watcher.busy, "reading masks")
    cut = resume is not None and checkpoint.newest(resume) is not None
    described = resume / DESCRIPTION if resume is not None and cut else None
    plan = make_plan(settings, watcher.say, reading, described=described)
    run = new_run(settings, command) if resume is None else resume
    if resume is None:
        (run / SETTINGS).write_text(to_text(as_plain(settings)), encoding="utf-8")
        if settings.start is not None:
            plan.model.described().save(run / DESCRIPTION)
    watcher.say(f"folder  {run}")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(settings.deterministic)
    try:
        loop = Loop(plan, run, watcher)
        state = loop.fit()
        loop.result.save_pretrained(run / "last")
    finally:
        torch.use_deterministic_algorithms(before)
    scores = _finish(plan, run, loop, watcher)
    return Finished(
        run, plan.data.source.classes.names, scores, state.best_step, state.step, state.elapsed
    )


def new_run(settings: TrainSettings, command: str = "train") -> Path:
    """Make the run's folder: `runs/<command>/<name>`, numbered where it has no name."""
    parent = Path(settings.runs) / command
    if settings.name is None:
        return numbered_folder(parent)
    run = parent / settings.name
    if (run / "config.yaml").exists():
        raise InputError(
            f"{run}: exists; choose another --name, or go on: pixelwise train --resume {run}"
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{run}: cannot make the run's folder ({error.strerror}); choose another --name"
        ) from error
    return run


def read_settings(run: Path) -> TrainSettings:
    """The settings of a run from its `config.yaml`."""
    path = run / SETTINGS
    if not path.is_file():
        raise InputError(f"{run}: has no {SETTINGS}, so it is not a training run; check the folder")
    values = checked(TrainSettings, read(path, "it is not the settings of a run"), str(path))
    try:
        return TrainSettings(**values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _finish(plan: TrainingPlan, run: Path, loop: Loop, watcher: Watcher) -> Scores:
    """Scores and pictures of the best network; `metrics.json` last, as the sign of the end."""
    best = load(run).to(loop.fabric.device)
    chosen = set(range(0, len(plan.data.val), max(1, len(plan.data.val) // SAMPLES)))
    classes, settings = plan.data.source.classes, plan.settings

    def draw(index: int, predicted: torch.Tensor, mask: torch.Tensor) -> None:
        watcher.busy("evaluating", index + 1, len(plan.data.val))
        if index in chosen:
            sample = plan.data.val[index]
            picture = pictures.triptych(
                pictures.displayable(sample.image),
                mask.numpy(),
                predicted.numpy(),
                classes.names,
                classes.palette,
                ignore_index=classes.ignore_index,
            )
            path = run / "samples" / f"{index:04d}_{Path(sample.name).stem}.png"
            pictures.write_bytes(path, pictures.png(picture))

    confusion = evaluate(
        best,
        plan.val_inputs,
        window=settings.window,
        device=loop.fabric.device,
        workers=settings.workers,
        on_picture=draw,
    )
    scores = confusion.scores()
    rows = read_rows(run / STEPS) + read_rows(run / VALIDATION)
    pictures.write_bytes(run / "curves.png", pictures.curves({settings.model: rows}))
    matrix = pictures.confusion_matrix(confusion.matrix.numpy(), classes.names)
    pictures.write_bytes(run / "confusion.png", matrix)
    summary = {
        "miou": scores.miou,
        "accuracy": scores.accuracy,
        "iou": dict(zip(classes.names, scores.iou, strict=True)),
        "best_step": loop.state.best_step,
        "steps": loop.state.step,
        "seconds": round(loop.state.elapsed, 1),
        "validation_pictures": len(plan.data.val),
    }
    unfinished = run / f"{DONE}.partial"
    unfinished.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(run / DONE)
    return scores
