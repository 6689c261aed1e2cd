"""The pictures on which the networks of a comparison disagree most, with their answers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import Subset

from pixelwise import pictures
from pixelwise.compare.arms import Arm
from pixelwise.compare.chosen import SHOWN, Chosen
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.scoring import Busy, nobody, opened, within_their_folder
from pixelwise.data.opening import open_data
from pixelwise.data.source import Split
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.metrics.tallies import unique
from pixelwise.predict.evaluation import evaluate
from pixelwise.tasks.base import Task
from pixelwise.train.settings import TrainSettings

FILES = tuple(f"differs_{i}.png" for i in range(1, SHOWN + 1))
LONGEST = 36
"""Letters above a drawing."""


def disagreements(
    folders: Mapping[tuple[str, int], Path],
    arms: Sequence[Arm],
    outcomes: Sequence[Outcome],
    recipe: TrainSettings,
    split: str,
    busy: Busy = nobody,
    warn: Callable[[str], None] = lambda line: None,
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
        warn: Told why nothing is drawn where the data or networks are gone.
    """
    chosen = Chosen.of(arms, outcomes)
    if not chosen.shown:
        return []
    try:
        originals = open_data(recipe.data).split(split)
        items = _items(chosen, originals)
        task, answers = _answers(chosen, items, folders, recipe, split, busy)
    except InputError as error:  # a report of the numbers is worth having without them
        warn(f"pictures that differ are not drawn: {error}")
        return []
    sheets: list[tuple[str, bytes, str, str]] = []
    for row, item in items.items():
        there = chosen.shown[row]
        labels = unique([_label(arm) for arm in there])
        said = {label: answers[arm, row][0] for label, arm in zip(labels, there, strict=True)}
        image = pictures.displayable(originals[item].image)
        sheet = task.compared(image, answers[there[0], row][1], said)
        sheets.append((FILES[len(sheets)], pictures.png(sheet), *chosen.told(row)))
    return sheets


def _items(chosen: Chosen, originals: Split) -> dict[int, int]:
    """Row of a picture -> its item, the first where it has several, as one with figures has.

    Raises:
        InputError: A picture is gone.
    """
    if len(originals) == len(chosen.names):
        return {row: row for row in chosen.shown}
    names = within_their_folder([originals[i].name for i in range(len(originals))])
    found = {}
    for row in chosen.shown:
        if chosen.names[row] not in names:
            raise InputError(f"{originals.name}: {chosen.names[row]} is gone; bring it back")
        found[row] = names.index(chosen.names[row])
    return found


def _answers(
    chosen: Chosen,
    items: Mapping[int, int],
    folders: Mapping[tuple[str, int], Path],
    recipe: TrainSettings,
    split: str,
    busy: Busy,
) -> tuple[Task, dict[tuple[str, int], tuple[Tensor, Tensor]]]:
    """The task, and (arm, row) -> answer and target."""
    answers: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
    arms = list(dict.fromkeys(arm for row in items for arm in chosen.shown[row]))
    device = pick_device(recipe.device)
    for number, arm in enumerate(arms):
        busy("drawing", number, len(arms))
        rows = [row for row in items if arm in chosen.shown[row]]
        run = folders.get((arm, chosen.first[arm]))
        if run is None:
            raise InputError(f"{arm}, seed {chosen.first[arm]}: has no folder; bring it back")
        model, inputs = opened(run, recipe, split)

        def keep(
            index: int, answer: Tensor, target: Tensor, arm: str = arm, rows: list[int] = rows
        ) -> None:
            answers[arm, rows[index]] = answer, target

        evaluate(
            model.to(device),
            Subset(inputs, [items[row] for row in rows]),
            window=recipe.window,
            device=device,
            scorer=model.task.scorer_for(inputs),
            on_picture=keep,
        )
    return model.task, answers


def _label(arm: str) -> str:
    """A name that fits above a picture."""
    return arm if len(arm) <= LONGEST else f"{arm[: LONGEST - 3]}..."
