"""What came of a finished run: the scores of its last network, picture by picture.

The best of several evaluations is no score of a comparison: the more often a run is evaluated, the
luckier its best one.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pixelwise.compare.arms import Arm
from pixelwise.compare.objects import figure_sizes, objects_of
from pixelwise.compare.outcome import NUMBERS, Outcome, Scores
from pixelwise.data.opening import open_data
from pixelwise.devices import pick_device
from pixelwise.errors import InputError, in_one_line
from pixelwise.evaluating.fitting import check_fit
from pixelwise.metrics import Kind, Tallies
from pixelwise.metrics.sizes import Objects, found_by_size
from pixelwise.metrics.tallies import unique
from pixelwise.networks.segmenter import Segmenter, load
from pixelwise.predict.evaluation import evaluate
from pixelwise.predict.images import expected
from pixelwise.predict.memory import enough_memory
from pixelwise.tasks.base import Result
from pixelwise.train.journal import AXIS, VALIDATION, read_rows
from pixelwise.train.run import DONE
from pixelwise.train.settings import TrainSettings

Busy = Callable[[str, int, int], None]
LAST = "last"
UNNEEDED = ("checkpoints", "samples", "tensorboard")
"""Folders of a run that a comparison does without."""
REMEDY = "remove the folder, so that the run is made again"


def nobody(what: str, done: int, total: int) -> None:
    """Told of progress, and does nothing."""


def outcome_of(
    run: Path, arm: Arm, seed: int, recipe: TrainSettings, split: str, busy: Busy = nobody
) -> Outcome:
    """Score the last network of a run, or read what was found before. Nothing is written.

    A network that says NaN or infinity has scores of NaN.

    Args:
        run: Its folder.
        arm: Of the run.
        seed: Likewise.
        recipe: What all runs have in common: the data, and where and how they are evaluated.
        split: Of the data.
        busy: Told of progress.

    Raises:
        InputError: The run is not finished, its files are damaged or not of these data, or nothing
            in the split counts.
    """
    if (run / NUMBERS).is_file():
        return Outcome.load(run)
    steps, seconds = _length(run)
    pictures, scores, sizes = _scored(run, recipe, split, busy)
    return Outcome(
        arm=arm.name,
        seed=seed,
        scores=scores,
        sizes=sizes,
        pictures=within_their_folder(pictures),
        curve=tuple(_curve(run, scores.kinds[0].name)),
        steps=steps,
        seconds=seconds,
        lr=recipe.peak_lr,
    )


def within_their_folder(names: Sequence[str]) -> tuple[str, ...]:
    """Paths from the folder that all files lie in, so that they are the same on every machine."""
    if len({Path(name).is_absolute() for name in names}) != 1:
        return tuple(names)
    top = Path(os.path.commonpath([Path(name).parent for name in names]))
    return tuple(Path(name).relative_to(top).as_posix() for name in names)


def slim(run: Path) -> None:
    """Delete what a comparison does not need of a run: checkpoints, the best weights, pictures.

    The last network, the settings and all numbers stay.
    """
    for name in UNNEEDED:
        shutil.rmtree(run / name, ignore_errors=True)
    for file in (run / "model.safetensors", *run.glob("*.png")):
        with suppress(OSError):
            file.unlink()


def _length(run: Path) -> tuple[int, float]:
    """Steps and seconds of a finished run."""
    try:
        told = json.loads((run / DONE).read_text(encoding="utf-8"))
        return int(told["steps"]), float(told["seconds"])
    except FileNotFoundError:
        raise InputError(f"{run}: has no {DONE}, so it is not finished; go on with it") from None
    except Exception as error:  # what JSON may hold instead of numbers
        raise InputError(
            f"{run / DONE}: is damaged ({in_one_line(error, 120)}); {REMEDY}"
        ) from error


def _curve(run: Path, name: str) -> Iterator[tuple[int, float]]:
    """The main number of every evaluation; NaN where there was none."""
    for row in read_rows(run / VALIDATION):
        value = row.get(name)
        yield row[AXIS], math.nan if value is None else float(value)


def _scored(
    run: Path, recipe: TrainSettings, split: str, busy: Busy
) -> tuple[tuple[str, ...], Scores, Scores | None]:
    """Names of the pictures, their scores, and those of their objects, in one pass."""
    model, items = opened(run, recipe, split)
    scorer = model.task.examiner() or model.task.scorer_for(items)
    names: list[str] = []
    objects: list[Objects | None] = []
    broken = False

    def check(name: str, logits: Tensor) -> None:
        nonlocal broken
        names.append(name)
        if not torch.isfinite(logits).all():
            broken = True
            logits.nan_to_num_(0.0, 0.0, 0.0)  # so that all can be counted, though to no end

    def see(index: int, answer: Tensor, target: Tensor) -> None:
        busy("scoring", index + 1, len(items))
        objects.append(objects_of(model.task, answer, target))

    device = pick_device(recipe.device)
    with enough_memory(model, recipe.window):
        result = evaluate(
            model.to(device),
            items,
            window=recipe.window,
            device=device,
            workers=recipe.loaders,
            scorer=scorer,
            on_picture=see,
            on_logits=check,
        )
    scores, pictures = _scores(result, unique(names))
    sizes = _sizes(result, unique(names), [one for one in objects if one is not None])
    if broken:
        return pictures, _unknown(scores), None if sizes is None else _unknown(sizes)
    return pictures, scores, sizes


def opened(run: Path, recipe: TrainSettings, split: str) -> tuple[Segmenter, Any]:
    """A run's last network, and the pictures of a split as it takes them.

    Raises:
        InputError: There is none, or it is not for these data.
    """
    model = load(run / LAST)
    source = open_data(recipe.data)
    check_fit(model, source, str(run))
    config = model.config
    return model, model.task.evaluation_set(
        source.split(split),
        mean=config.mean,
        std=config.std,
        scale=config.scale,
        expected=expected(model),
    )


def _scores(result: Result, names: tuple[str, ...]) -> tuple[Scores, tuple[str, ...]]:
    tallies = result.tallies()
    if tallies is None:
        return Scores.single(Kind("score", result.title, percent=False), result.best), names
    return Scores.of(tallies), tallies.pictures


def _sizes(result: Result, names: tuple[str, ...], objects: list[Objects]) -> Scores | None:
    tallies: Tallies | None = figure_sizes(result)
    if tallies is None and len(objects) == len(names):
        tallies = found_by_size(names, objects)
    return None if tallies is None else Scores.of(tallies)


def _unknown(scores: Scores) -> Scores:
    """As many scores, none of them known."""
    parts = (scores.values, scores.drawn, scores.each)
    return Scores(scores.kinds, *(np.full_like(part, np.nan) for part in parts))
