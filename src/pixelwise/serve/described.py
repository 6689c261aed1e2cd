"""What the page is told of the networks, and which networks it can show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.data.classes import default_palette
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.networks.segmenter import Segmenter
from pixelwise.serve.answers import none_of
from pixelwise.tasks.base import Task
from pixelwise.tasks.class_masks import ClassMasks
from pixelwise.tasks.keypoints.task import Keypoints
from pixelwise.tasks.multilabel.task import Multilabel
from pixelwise.tasks.regression.task import Regression

Named = tuple[str, Model]


def shown_names(runs: Sequence[str]) -> list[str]:
    """What the page calls the runs: the ends of their paths, as long as they must be to differ."""
    parts = [Path(run).resolve().parts for run in runs]
    longest = max(map(len, parts))
    for count in range(1, longest + 1):
        names = ["/".join(one[-count:]) for one in parts]
        if len(set(names)) == len(names):
            break
    return names


def check_alike(models: Sequence[Named]) -> None:
    """Refuse networks that cannot be shown, or not beside each other.

    Raises:
        InputError: The page does not know the task, or the second has other classes.
    """
    for name, model in models:
        if not isinstance(model.task, ClassMasks | Multilabel | Keypoints | Regression):
            raise InputError(
                f"{name}: has task {model.config.task!r}, which the page does not show; use"
                " pixelwise predict"
            )
    first = models[0][1]
    for name, model in models[1:]:
        if model.config.task != first.config.task or names_of(model.task) != names_of(first.task):
            raise InputError(
                f"beside={name!r}: has another task or other classes than {models[0][0]}; show"
                " networks of one data set"
            )


def names_of(task: Task) -> tuple[str, ...]:
    """Of the classes, labels, points or bands."""
    if isinstance(task, Keypoints):
        return task.skeleton.names
    assert isinstance(task, ClassMasks | Multilabel | Regression)
    return task.names


def described(models: Sequence[Named]) -> dict[str, Any]:
    """Task, networks, classes and their colours, and what is not shown."""
    task = models[0][1].task
    names = names_of(task)
    if isinstance(task, ClassMasks | Multilabel):
        colours = list(task.palette)[: len(names)]
    else:
        colours = list(default_palette(len(names) + 1))[1:]
    return {
        "task": models[0][1].config.task,
        "runs": [
            {"name": name, "arch": model.config.arch, "backbone": model.config.backbone}
            for name, model in models
        ],
        "classes": [
            {"name": name, "color": list(colour)}
            for name, colour in zip(names, colours, strict=True)
        ],
        "units": [unit or None for unit in task.units] if isinstance(task, Regression) else [],
        "none": none_of(len(names)),
        "limits": [line for name, model in models for line in _limits(name, model)],
    }


def _limits(name: str, model: Model) -> list[str]:
    found = []
    if not isinstance(model, Segmenter):
        found.append(f"{name}: is an exported file, whose layers cannot be looked into")
    if model.decides:
        found.append(f"{name}: says what a pixel is, but not how sure it is")
    return found
