"""The pictures on which the networks of a comparison disagree most, with their answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Subset

from pixelwise import pictures
from pixelwise.compare.arms import NONE, Arm
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.scoring import Busy, nobody, opened, within_their_folder
from pixelwise.data.opening import open_data
from pixelwise.data.source import Split
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.predict.evaluation import evaluate
from pixelwise.tasks.base import Task
from pixelwise.train.settings import TrainSettings

SHOWN = 6
FILES = tuple(f"differs_{i}.png" for i in range(1, SHOWN + 1))
ANSWERS = 3
"""Networks whose answers are drawn: the one without attention, and those that differ most."""
LONGEST = 36
"""Letters of a label."""


def disagreements(
    folders: Mapping[tuple[str, int], Path],
    arms: Sequence[Arm],
    outcomes: Sequence[Outcome],
    recipe: TrainSettings,
    split: str,
    busy: Busy = nobody,
) -> list[tuple[str, bytes, str, str]]:
    """File name, PNG, and what it shows in English and in Chinese, of up to six pictures.

    Nothing where scores are not known picture by picture, or where fewer than two arms have any.

    Args:
        folders: (arm's name, seed) -> its run.
        arms: Of the comparison; those that were trained for longer are not shown.
        outcomes: Of the finished runs.
        recipe: What all runs have in common.
        split: Of the data.
        busy: Told of progress.
    """
    scores = _means(arms, outcomes)
    if len(scores) < 2:
        return []
    shown = {row: _chosen(scores, row) for row in _rows(scores)}
    originals = open_data(recipe.data).split(split)
    places = _places(outcomes[0].pictures, originals)
    if any(row >= len(places) for row in shown):  # the data changed since
        return []
    seeds = {arm: min(one.seed for one in outcomes if one.arm == arm) for arm in scores}
    answers: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
    wanted = list(dict.fromkeys(arm for each in shown.values() for arm in each))
    task: Task | None = None
    for number, arm in enumerate(wanted):
        busy("drawing", number, len(wanted))
        rows = [row for row, each in shown.items() if arm in each]
        try:
            model, items = opened(folders[arm, seeds[arm]], recipe, split)
        except (InputError, KeyError):  # its network is gone; the others are drawn
            continue
        task = model.task
        found = _answers(model, items, [places[row] for row in rows], recipe)
        answers |= {(arm, row): one for row, one in zip(rows, found, strict=True)}
    sheets: list[tuple[str, bytes, str, str]] = []
    for row, each in shown.items():
        there = [arm for arm in each if (arm, row) in answers]
        if task is None or len(there) < 2:
            continue
        image = pictures.displayable(originals[places[row]].image)
        said = {_label(arm): answers[arm, row][0] for arm in there}
        sheet = task.compared(image, answers[there[0], row][1], said)
        values = {arm: float(scores[arm][row]) for arm in there}
        texts = _told(outcomes[0], row, values, {seeds[arm] for arm in there})
        sheets.append((FILES[len(sheets)], pictures.png(sheet), *texts))
    return sheets


def _means(
    arms: Sequence[Arm], outcomes: Sequence[Outcome]
) -> dict[str, Float64[ndarray, " pictures"]]:
    """Arm -> the main score of every picture, over its seeds; NaN where one has none."""
    found = {}
    for arm in arms:
        each = [one.scores.each[:, 0] for one in outcomes if one.arm == arm.name]
        if each and arm.longer == 1 and len(each[0]):
            found[arm.name] = np.mean(each, axis=0)
    return {arm: scores for arm, scores in found.items() if np.isfinite(scores).any()}


def _rows(scores: Mapping[str, Float64[ndarray, " pictures"]]) -> list[int]:
    """The pictures whose scores differ most between arms, the largest difference first."""
    every = np.stack(list(scores.values()))
    spread = np.where(np.isfinite(every).all(axis=0), np.ptp(every, axis=0), 0.0)
    order = np.argsort(-spread, kind="stable")[:SHOWN]
    return [int(row) for row in order if spread[row] > 0]


def _chosen(scores: Mapping[str, Float64[ndarray, " pictures"]], row: int) -> list[str]:
    """The arm without attention, and those with the largest and the smallest scores."""
    order = sorted(scores, key=lambda arm: float(scores[arm][row]))
    first = [NONE] if NONE in scores else []
    return list(dict.fromkeys([*first, order[-1], order[0], *order[-2::-1]]))[:ANSWERS]


def _places(names: Sequence[str], originals: Split) -> Sequence[int]:
    """Item of each picture: the first where a picture has several, as those with figures have."""
    if len(originals) == len(names):
        return range(len(names))
    every = within_their_folder([originals[i].name for i in range(len(originals))])
    return [every.index(name) for name in names if name in every]


def _answers(
    model: Segmenter, items: Any, places: list[int], recipe: TrainSettings
) -> list[tuple[Tensor, Tensor]]:
    """Answer and target of some items."""
    found: list[tuple[Tensor, Tensor]] = []
    device = pick_device(recipe.device)
    evaluate(
        model.to(device),
        Subset(items, places),
        window=recipe.window,
        device=device,
        scorer=model.task.scorer_for(items),
        on_picture=lambda index, answer, target: found.append((answer, target)),
    )
    return found


def _label(arm: str) -> str:
    """A name that fits above a picture."""
    return arm if len(arm) <= LONGEST else f"{arm[: LONGEST - 3]}..."


def _told(
    outcome: Outcome, row: int, values: Mapping[str, float], seeds: set[int]
) -> tuple[str, str]:
    """What is to be seen, in English and in Chinese."""
    kind, name = outcome.scores.kinds[0], outcome.pictures[row]
    unit = f" {kind.told_in}".rstrip()
    each = [f"{arm} {kind.text(value)}{unit}" for arm, value in values.items()]
    drawn = ", ".join(map(str, sorted(seeds)))
    return (
        f"{name}: {kind.title} here, mean over seeds: {', '.join(each)}. The answers drawn are"
        f" those of seed {drawn}.",
        f"{name}：此图上的 {kind.title}（各随机种子的平均）：{'、'.join(each)}。"  # noqa: RUF001
        f"图中所绘为随机种子 {drawn} 的预测。",
    )
