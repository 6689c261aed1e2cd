"""Scores of masks with one class per pixel, as training and people see them."""

import csv
import functools
import io
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Int64
from torch import Tensor

from pixelwise import pictures
from pixelwise.language import cells, left, mark, message, right, translate
from pixelwise.metrics import Confusion, Scores
from pixelwise.tasks.base import Result, Scorer
from pixelwise.tasks.measures import Measure, Measures

CAPTION = mark(
    "Intersection over union in % of the union; accuracy in % of the counted pixels. The mean "
    "is over the classes that occur. 'absent': no pixel of the class in the truth."
)


class ClassResult(Result):
    """Intersection over union per class, from one confusion matrix.

    Args:
        confusion: The counts.
        names: Of the classes.
    """

    title = "mIoU"

    def __init__(self, confusion: Confusion, names: tuple[str, ...]) -> None:
        self.confusion, self.names = confusion, names
        self.scores: Scores = confusion.scores()

    @property
    def best(self) -> float:
        """The mean IoU."""
        return self.scores.miou

    def line(self) -> str:
        """Mean IoU and accuracy."""
        return translate("mIoU {miou:.4f}  pixel accuracy {accuracy:.4f}").format(
            miou=self.scores.miou, accuracy=self.scores.accuracy
        )

    def numbers(self) -> Mapping[str, float | int | None]:
        """Mean IoU, accuracy, and the IoU of each class."""
        each = zip(self.names, self.scores.iou, strict=True)
        return {
            "miou": self.scores.miou,
            "accuracy": self.scores.accuracy,
            **{f"iou_{name}": iou for name, iou in each},
        }

    def summary(self) -> Mapping[str, Any]:
        """Mean IoU, accuracy, and IoU and true pixels by class."""
        return {
            "miou": self.scores.miou,
            "accuracy": self.scores.accuracy,
            "iou": dict(zip(self.names, self.scores.iou, strict=True)),
            "truth_pixels": dict(zip(self.names, self.scores.pixels, strict=True)),
        }

    def table(self) -> str:
        """Per-class IoU in percent of the union of truth and prediction."""
        width = max(5, *map(cells, self.names))
        heads = [right(translate("IoU %"), 7), right(translate("truth pixels"), 13)]
        lines = ["  ".join([left(translate("class"), width), *heads])]
        for name, iou, pixels in self._rows():
            told = translate("absent") if iou is None else f"{100 * iou:.2f}"
            lines.append(f"{left(name, width)}  {right(told, 7)}  {pixels:>13,}")
        accuracy = translate("(pixel accuracy {accuracy:.2f} %)").format(
            accuracy=100 * self.scores.accuracy
        )
        mean = left(translate("mean"), width)
        lines.append(f"{mean}  {100 * self.scores.miou:7.2f}  {accuracy}")
        return "\n".join(lines)

    def files(self) -> Mapping[str, bytes]:
        """The table as CSV, and the confusion matrix as a picture."""
        matrix = self.confusion.matrix.numpy()
        return {
            "classes.csv": csv_table(["class", "iou", "truth_pixels"], self._rows()),
            "confusion.png": pictures.confusion_matrix(matrix, self.names),
        }

    def measures(self) -> Measures:
        """IoU per class with its share of the pixels, mean IoU and accuracy."""
        total = max(1, sum(self.scores.pixels))
        rows = [
            Measure(name, _percent(iou), True, f"{100 * n / total:.1f}" if n else "0")
            for name, iou, n in self._rows()
        ]
        rows.append(Measure(message("mean IoU"), _percent(self.scores.miou), True))
        rows.append(Measure(message("pixel accuracy"), _percent(self.scores.accuracy), True))
        return Measures(
            tuple(rows),
            message("class"),
            message("share of pixels, %"),
            digits=1,
            absent="absent",
            caption=CAPTION,
        )

    def warning(self) -> str | None:
        """A line where the network says one class everywhere, and the truth does not."""
        predicted = self.confusion.matrix.sum(dim=0).nonzero().flatten().tolist()
        truth = self.confusion.matrix.sum(dim=1).nonzero().flatten().tolist()
        if len(predicted) != 1 or set(truth) == set(predicted):
            return None
        return message(
            "the best network says {name!r} for every pixel of val, so it has learnt nothing of"
            " the other classes: mIoU {miou:.3f} and pixel accuracy {accuracy:.3f} come from that"
            ' class alone; try --class-weights auto, --loss "ce+dice", more steps, a lower --lr,'
            " or --pretrained, and look whether the masks show them",
            name=self.names[predicted[0]],
            miou=self.scores.miou,
            accuracy=self.scores.accuracy,
        )

    def unfound(self, least: float) -> Mapping[str, float]:
        """Classes of the truth whose IoU is below `least`, with their shares of the pixels."""
        total = max(1, sum(self.scores.pixels))
        return {name: n / total for name, iou, n in self._rows() if iou is not None and iou < least}

    def _rows(self) -> list[tuple[str, float | None, int]]:
        return list(zip(self.names, self.scores.iou, self.scores.pixels, strict=True))


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


class ClassScorer(Scorer):
    """Counts pixels by true and predicted class."""

    def __init__(self, names: tuple[str, ...], ignore_index: int) -> None:
        self.names = names
        self.confusion = Confusion(len(names), ignore_index)

    def update(self, answer: Int64[Tensor, "h w"], target: Int64[Tensor, "h w"]) -> None:
        """Count one picture."""
        self.confusion.update(answer, target)

    def joined(self, parts: Sequence["ClassScorer"]) -> "ClassScorer":
        """The counts of all parts."""
        return functools.reduce(operator.add, parts)

    def __add__(self, other: "ClassScorer") -> "ClassScorer":
        """The counts of both."""
        total = ClassScorer(self.names, self.confusion.ignore_index)
        total.confusion = self.confusion + other.confusion
        return total

    def result(self) -> ClassResult:
        """All counts."""
        return ClassResult(self.confusion, self.names)


def csv_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows as a CSV file; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
