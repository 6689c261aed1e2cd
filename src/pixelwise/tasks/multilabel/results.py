"""Scores of predicted labels as training and people see them."""

import copy
import csv
import functools
import io
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pixelwise import pictures
from pixelwise.errors import InputError
from pixelwise.language import cells, left, mark, message, right, translate
from pixelwise.metrics.tallies import Tallies, unique
from pixelwise.tasks.base import Result, Scorer, dealt_back
from pixelwise.tasks.multilabel.scores import GRID, USUAL, LabelCounts, LabelScores
from pixelwise.tasks.tallying import label_tallies

MEASURES = {
    "iou": mark("IoU %"),
    "precision": mark("precision %"),
    "recall": mark("recall %"),
    "f1": "F1 %",
}
"""Attribute of the scores -> its heading."""
NOTHING = mark("no label is true at any counted pixel")


class LabelResult(Result):
    """Intersection over union, precision and recall per label.

    Args:
        labels: Name of a label -> its scores.
        chosen: Whether the thresholds were chosen on these very pictures.
        pictures: What each picture adds.
    """

    title = "mIoU"

    def __init__(
        self, labels: Mapping[str, LabelScores], *, chosen: bool, pictures: Tallies | None = None
    ) -> None:
        self.labels, self.chosen, self.pictures = dict(labels), chosen, pictures

    def tallies(self) -> Tallies | None:
        """Right, true and predicted pixels of every label."""
        return self.pictures

    @property
    def best(self) -> float:
        """The mean IoU over the labels that the truth has; 0 where it has none."""
        return self._mean("iou") or 0.0

    def line(self) -> str:
        """Mean IoU and F1."""
        miou, f1 = self._mean("iou"), self._mean("f1")
        if miou is None or f1 is None:
            return translate(NOTHING)
        return translate("mIoU {miou:.4f}  mean F1 {f1:.4f}").format(miou=miou, f1=f1)

    def numbers(self) -> Mapping[str, float | int | None]:
        """Mean IoU and F1, and the IoU of each label."""
        return {
            "miou": self._mean("iou"),
            "mean_f1": self._mean("f1"),
            **{f"iou_{name}": found.iou for name, found in self.labels.items()},
        }

    def summary(self) -> Mapping[str, Any]:
        """The means, and all numbers by label."""
        each = self.labels.items()
        return {
            "miou": self._mean("iou"),
            "mean_f1": self._mean("f1"),
            **{m: {name: getattr(found, m) for name, found in each} for m in MEASURES},
            "thresholds": {name: found.threshold for name, found in each},
            "thresholds_chosen_here": self.chosen,
            "truth_pixels": {name: found.truth for name, found in each},
            "predicted_pixels": {name: found.predicted for name, found in each},
        }

    def table(self) -> str:
        """All numbers per label, in percent."""
        width = max(5, *map(cells, self.labels))
        heads = [right(translate(head), 11) for head in MEASURES.values()]
        heads += [right(translate("threshold"), 9), right(translate("truth pixels"), 13)]
        lines = ["  ".join([left(translate("label"), width), *heads])]
        for name, found in self.labels.items():
            told = "  ".join(right(_cell(getattr(found, m), found), 11) for m in MEASURES)
            lines.append(
                f"{left(name, width)}  {told}  {found.threshold:>9.3g}  {found.truth:>13,}".rstrip()
            )
        means = (self._mean(m) if m in ("iou", "f1") else None for m in MEASURES)
        told = "  ".join(f"{'' if mean is None else f'{100 * mean:.2f}':>11}" for mean in means)
        head = left(translate("mean"), width)
        lines.append(
            f"{head}  {told}".rstrip() if self._mean("iou") is not None else translate(NOTHING)
        )
        if self.chosen:
            lines.append(translate("the thresholds were chosen on these pictures"))
        return "\n".join(lines)

    def files(self) -> Mapping[str, bytes]:
        """The table as CSV, and the IoU by threshold as a picture."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["label", *MEASURES, "threshold", "truth_pixels", "predicted_pixels"])
        for name, found in self.labels.items():
            numbers = [getattr(found, measure) for measure in MEASURES]
            writer.writerow([name, *numbers, found.threshold, found.truth, found.predicted])
        curves = {
            f"{number} {name}": (found.by_threshold, found.threshold, found.iou)
            for number, (name, found) in enumerate(self.labels.items())
            if found.iou is not None
        }
        return {
            "labels.csv": text.getvalue().encode(),
            "thresholds.png": pictures.threshold_curves(GRID, curves),
        }

    def warning(self) -> str | None:
        """A line where labels that are there are predicted nowhere."""
        never = [name for name, one in self.labels.items() if one.truth and not one.predicted]
        if not never:
            return None
        what = (
            message("no label")
            if len(never) == len(self.labels)
            else message("{never} nowhere", never=", ".join(never))
        )
        return message(
            "the best network says {what} in all of val, where the truth has"
            " {what2}; try --class-weights auto, task_options {{thresholds: auto}},"
            " more steps, or --pretrained, and look whether the masks show them",
            what=what,
            what2="some" if what == "no label" else "them",
        )

    def learnt(self) -> Mapping[str, Any]:
        """The thresholds, where they were chosen here."""
        if not self.chosen:
            return {}
        return {"thresholds": tuple(found.threshold for found in self.labels.values())}

    def _mean(self, measure: str) -> float | None:
        found = [getattr(one, measure) for one in self.labels.values() if one.truth]
        return float(sum(found) / len(found)) if found else None


class LabelScorer(Scorer):
    """Counts predicted and true pixels per label.

    Args:
        names: Of the labels.
        thresholds: One per label; None: they are to be chosen.
    """

    def __init__(self, names: Sequence[str], thresholds: Sequence[float] | None) -> None:
        self.names, self.chosen = names, thresholds is None
        each = (None,) * len(names) if thresholds is None else thresholds
        self._counts = [LabelCounts(threshold) for threshold in each]
        self._pictures: list[str] = []
        self._each: list[list[Tensor]] = []

    def look(self, name: str, logits: Tensor, target: Tensor) -> None:
        """The name of the next picture."""
        self._pictures.append(name)

    def update(self, answer: Tensor, target: Tensor) -> None:
        """One picture: probabilities and truth, both (k, h, w)."""
        three = zip(self._counts, answer, target, strict=True)
        added = [counts.add(chance, truth) for counts, chance, truth in three]
        self._each.append([counts.to(torch.int32) for counts in added])

    def last(self) -> float | None:
        """The mean IoU of the last picture, with thresholds of 0.5 while none are chosen."""
        found = self._tallies(
            self._each[-1:], ("last",), [one.threshold or USUAL for one in self._counts]
        )
        return found.scores()[0]

    def _tallies(
        self, each: Sequence[Sequence[Tensor]], names: tuple[str, ...], thresholds: Sequence[float]
    ) -> Tallies:
        counts = [
            [one.at(found, t) for one, found, t in zip(self._counts, row, thresholds, strict=True)]
            for row in each
        ]
        return label_tallies(names, np.array(counts).transpose(0, 2, 1), self.names)

    def joined(self, parts: Sequence["LabelScorer"]) -> "LabelScorer":
        """The counts of all parts."""
        whole = copy.copy(self)
        every = zip(*(part._counts for part in parts), strict=True)
        whole._counts = [functools.reduce(operator.add, counts) for counts in every]
        whole._pictures = dealt_back([part._pictures for part in parts])
        whole._each = dealt_back([part._each for part in parts])
        return whole

    def result(self) -> LabelResult:
        """All of them."""
        if not any(counts.known for counts in self._counts):
            raise InputError("no pixel was counted: no label is known anywhere; look at the masks")
        scores = [counts.scores() for counts in self._counts]
        pictures = None
        if len(self._pictures) == len(self._each):
            thresholds = [found.threshold for found in scores]
            pictures = self._tallies(self._each, unique(self._pictures), thresholds)
        labels = dict(zip(self.names, scores, strict=True))
        return LabelResult(labels, chosen=self.chosen, pictures=pictures)


def _cell(value: float | None, found: LabelScores) -> str:
    if value is None:
        return translate("none") if found.truth else translate("absent")
    return f"{100 * value:.2f}"
