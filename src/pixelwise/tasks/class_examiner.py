"""All scores of masks with one class per pixel, as `evaluate` counts them."""

import functools
import operator
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pixelwise.metrics import (
    BoundaryCounts,
    Calibration,
    Confusion,
    PictureCounts,
    ThresholdCounts,
)
from pixelwise.tasks.base import Scorer
from pixelwise.tasks.class_examination import ClassCounts, ClassExamination

AT_ONCE = 2**22
"""So many probabilities are held at the same time."""


class ClassExaminer(Scorer):
    """Counts pixels by class, picture, probability and, where asked, nearness of borders.

    Args:
        names: Of the classes.
        ignore_index: Mask value of pixels that do not count.
        probabilities: Of logits (k, h, w), of every class.
        boundary: Tolerance in pixels; None: borders are not looked at.
        single: Whether one logit stands for both classes, so that a threshold can be chosen.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        ignore_index: int,
        probabilities: Callable[[Tensor], Tensor],
        boundary: int | None,
        *,
        single: bool,
    ) -> None:
        self.names, self.ignore_index, self.single = names, ignore_index, single
        self.of = probabilities
        self.confusion = Confusion(len(names), ignore_index)
        self.pictures = PictureCounts()
        self.calibration = Calibration()
        self.thresholds = ThresholdCounts(len(names))
        self.borders = None
        if boundary is not None:
            self.borders = BoundaryCounts(len(names), boundary, ignore_index)
        self._name, self._logits = "", torch.empty(0)

    def look(self, name: str, logits: Float[Tensor, "k h w"], target: Tensor) -> None:
        """Remember them for `update`."""
        found, number = name, 1
        while found in self.pictures.counts:  # a list may name a picture twice
            number += 1
            found = f"{name} ({number})"
        self._name, self._logits = found, logits

    def update(self, answer: Int64[Tensor, "h w"], target: Int64[Tensor, "h w"]) -> None:
        """Count one picture."""
        one = Confusion(len(self.names), self.ignore_index)
        one.update(answer, target)
        self.confusion += one
        self.pictures.add(self._name, one)
        if self.borders is not None:
            self.borders.update(answer, target)
        rows = max(1, AT_ONCE // (len(self.names) * max(1, target.shape[1])))
        device = self._logits.device
        for logits, said, true in zip(
            torch.split(self._logits, rows, dim=1),
            torch.split(answer, rows),
            torch.split(target, rows),
            strict=True,
        ):
            self._weigh(logits, said.to(device), true.to(device))
        self._logits = torch.empty(0)

    def _weigh(self, logits: Tensor, answer: Tensor, target: Tensor) -> None:
        counted = target != self.ignore_index
        probabilities, said, true = self.of(logits)[:, counted], answer[counted], target[counted]
        self.calibration.update(probabilities.gather(0, said[None])[0], said == true)
        classes = torch.arange(len(self.names), device=true.device)
        self.thresholds.update(probabilities, true == classes[:, None])

    def __add__(self, other: "ClassExaminer") -> "ClassExaminer":
        """The counts of both, which have no picture in common.

        Raises:
            InputError: They have, or count otherwise.
        """
        tolerance = None if self.borders is None else self.borders.tolerance
        total = ClassExaminer(self.names, self.ignore_index, self.of, tolerance, single=self.single)
        total.confusion = self.confusion + other.confusion
        total.pictures = self.pictures + other.pictures
        total.calibration = self.calibration + other.calibration
        total.thresholds = self.thresholds + other.thresholds
        if self.borders is not None and other.borders is not None:
            total.borders = self.borders + other.borders
        return total

    def joined(self, parts: Sequence["ClassExaminer"]) -> "ClassExaminer":
        """The counts of all parts."""
        return functools.reduce(operator.add, parts)

    def last(self) -> float | None:
        """The mean IoU of the last picture."""
        return self.pictures.miou(self._name)

    def result(self) -> ClassExamination:
        """All counts."""
        return ClassExamination(
            ClassCounts(
                self.names,
                self.confusion,
                self.pictures,
                self.calibration,
                self.thresholds,
                self.borders,
                single=self.single,
            )
        )
