"""One class per pixel: scores, pictures and files that several tasks share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.classes import Colour, default_palette
from pixelwise.losses import PIXEL_LOSSES, loss_for, presence_loss
from pixelwise.metrics import Confusion, Scores
from pixelwise.tasks.base import Loss, LossChoice, Result, Scorer, Task
from pixelwise.tasks.measures import Measure, Measures

CAPTION = (
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
        return f"mIoU {self.scores.miou:.4f}  pixel accuracy {self.scores.accuracy:.4f}"

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
        width = max(5, *(len(name) for name in self.names))
        lines = [f"{'class':{width}}  {'IoU %':>7}  {'truth pixels':>13}"]
        for name, iou, pixels in self._rows():
            shown = "absent" if iou is None else f"{100 * iou:.2f}"
            lines.append(f"{name:{width}}  {shown:>7}  {pixels:>13,}")
        accuracy = f"(pixel accuracy {100 * self.scores.accuracy:.2f} %)"
        lines.append(f"{'mean':{width}}  {100 * self.scores.miou:7.2f}  {accuracy}")
        return "\n".join(lines)

    def files(self) -> Mapping[str, bytes]:
        """The table as CSV, and the confusion matrix as a picture."""
        rows = [f"{name},{'' if iou is None else iou},{n}" for name, iou, n in self._rows()]
        matrix = self.confusion.matrix.numpy()
        return {
            "classes.csv": ("\n".join(["class,iou,truth_pixels", *rows]) + "\n").encode(),
            "confusion.png": pictures.confusion_matrix(matrix, self.names),
        }

    def measures(self) -> Measures:
        """IoU per class with its share of the pixels, mean IoU and accuracy."""
        total = max(1, sum(self.scores.pixels))
        rows = [
            Measure(name, _percent(iou), True, f"{100 * n / total:.1f}" if n else "0")
            for name, iou, n in self._rows()
        ]
        rows.append(Measure("mean IoU", _percent(self.scores.miou), True))
        rows.append(Measure("pixel accuracy", _percent(self.scores.accuracy), True))
        return Measures(
            tuple(rows), "class", "share of pixels, %", digits=1, absent="absent", caption=CAPTION
        )

    def warning(self) -> str | None:
        """A line where the network says one class everywhere, and the truth does not."""
        predicted = self.confusion.matrix.sum(dim=0).nonzero().flatten().tolist()
        truth = self.confusion.matrix.sum(dim=1).nonzero().flatten().tolist()
        if len(predicted) != 1 or set(truth) == set(predicted):
            return None
        return (
            f"the best network says {self.names[predicted[0]]!r} for every pixel of val, so it has"
            " learnt nothing of the other classes; try --class-weights auto, more steps, a lower"
            " --lr, or --pretrained, and look whether the masks show them"
        )

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

    def result(self) -> ClassResult:
        """All counts."""
        return ClassResult(self.confusion, self.names)


class ClassMasks(Task):
    """What the tasks with one class per pixel share."""

    data = "classes"
    losses = PIXEL_LOSSES
    result_files = ("classes.csv", "confusion.png")

    @property
    def count(self) -> int:
        """Classes, the background of a single logit included."""
        return max(2, self.described.num_classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        known = self.described.names
        return known if len(known) == self.count else tuple(map(str, range(self.count)))

    @property
    def palette(self) -> tuple[Colour, ...]:
        """A colour per class."""
        known = self.described.palette
        return known if len(known) >= self.count else default_palette(self.count)

    @property
    def ignored(self) -> int:
        """What stands for "no class" in masks: the ignore index, unless a class has it."""
        if self.described.ignore_index >= self.count:
            return self.described.ignore_index
        return 255 if self.count <= 255 else 65535

    def loss(self, choice: LossChoice) -> Loss:
        """Cross-entropy, of all pixels or of the hard ones."""
        return loss_for(
            self.key,
            loss=self.chosen(choice),
            class_weights=choice.weights,
            ignore_index=self.described.ignore_index,
        )

    def presence_loss(self, logits: Float[Tensor, "n k"], target: Tensor) -> Tensor:
        """Which classes occur."""
        return presence_loss(logits, target, ignore_index=self.described.ignore_index)

    def scorer(self) -> ClassScorer:
        """A confusion matrix."""
        return ClassScorer(self.names, self.described.ignore_index)

    def picture(self, image: ndarray, target: Tensor, answer: Tensor) -> ndarray:
        """Picture, true mask and predicted mask."""
        return self.compared(image, target, {"prediction": answer})

    def compared(self, image: ndarray, target: Tensor, answers: Mapping[str, Tensor]) -> ndarray:
        """Picture, true mask and predicted masks."""
        found: ndarray = pictures.comparison(
            image,
            target.numpy(),
            {label: answer.numpy() for label, answer in answers.items()},
            self.names,
            self.palette,
            ignore_index=self.described.ignore_index,
        )
        return found

    def place(self, names: Sequence[str], answer: Tensor) -> tuple[int, int] | None:
        """The middle one, in reading order, of the pixels of these classes."""
        wanted = [number for number, name in enumerate(self.names) if name in names]
        found = torch.isin(answer, torch.tensor(wanted)).nonzero()
        if not len(found):
            return None
        row, column = found[len(found) // 2].tolist()
        return row, column

    def file_names(self, name: str) -> tuple[str, ...]:
        """The index mask and the overlay."""
        return f"{name}.png", f"{name}_overlay.png"

    def write(
        self,
        folder: Path,
        name: str,
        image: ndarray,
        answer: Tensor,
        missing: Tensor | None,
        source: Path,
    ) -> None:
        """An index mask with a palette, and the picture tinted by class."""
        ignored = self.ignored
        found = answer if missing is None else answer.masked_fill(missing, ignored)
        wide = max(ignored, self.count) > 255
        mask = found.numpy().astype(np.uint16 if wide else np.uint8)
        tinted = pictures.overlay(image, mask, self.palette, ignore_index=ignored)
        index, shown = self.file_names(name)
        pictures.write_index_png(folder / index, mask, self.palette, ignore_index=ignored)
        pictures.write_bytes(folder / shown, pictures.png(tinted))

    @property
    def without_data(self) -> str:
        """The mask value that stands for it."""
        return f"{self.ignored} in their masks"
