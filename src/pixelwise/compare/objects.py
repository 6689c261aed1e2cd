"""The objects of a task's pictures, to tell how much is found of small and of large ones."""

import numpy as np
from numpy import ndarray
from torch import Tensor

from pixelwise.metrics import Kind, Tallies
from pixelwise.metrics.sizes import Objects, by_size
from pixelwise.tasks.base import Result, Task
from pixelwise.tasks.binary import Binary
from pixelwise.tasks.class_masks import ClassMasks
from pixelwise.tasks.keypoints.results import PointResult
from pixelwise.tasks.multilabel.task import Multilabel

BACKGROUND = ("background", "_background_", "void", "背景")
"""Names of classes that objects stand before; the first class of a binary task is one, too."""


def objects_of(task: Task, answer: Tensor, target: Tensor) -> Objects | None:
    """Those of one picture; None: the task has none.

    Args:
        task: Of the network.
        answer: As `task.answer` gives it, of one picture.
        target: Its truth.
    """
    true: ndarray = target.numpy()
    known = true != task.described.ignore_index
    if isinstance(task, ClassMasks):
        said: ndarray = answer.numpy()
        classes = (((true == number) & known, said == number) for number in _classes(task))
        return Objects.of(classes, int(known.sum()))
    if isinstance(task, Multilabel):
        labels = zip((true == 1) & known, task.labels(answer), strict=True)
        return Objects.of(labels, int(known.any(axis=0).sum()))
    return None


def _classes(task: ClassMasks) -> list[int]:
    """Those that are no background."""
    return [
        number
        for number, name in enumerate(task.names)
        if name.strip().casefold() not in BACKGROUND
        and not (number == 0 and isinstance(task, Binary))
    ]


def figure_sizes(result: Result) -> Tallies | None:
    """The mean error in small, middle and large boxes; None: no boxes are known.

    Boxes that all begin in the picture's corner are the pictures themselves.
    """
    if not isinstance(result, PointResult) or not any(any(one.box[:2]) for one in result.items):
        return None
    rows: dict[str, list[int]] = {}
    for number, item in enumerate(result.items):
        rows.setdefault(item.name, []).append(number)
    boxes = np.array([item.box[2] * item.box[3] for item in result.items])
    capped = result.capped
    errors, counts = np.nansum(capped, axis=1), np.isfinite(capped).sum(axis=1).astype(np.float64)

    def kind(size: str, bounds: str) -> Kind:
        return Kind(f"error_{size}", f"error in {size} boxes ({bounds})", False, False, "px")

    each = list(rows.values())
    return by_size(
        tuple(rows),
        [boxes[numbers] for numbers in each],
        [errors[numbers] for numbers in each],
        [counts[numbers] for numbers in each],
        kind,
    )
