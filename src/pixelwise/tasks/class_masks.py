"""One class per pixel: scores, pictures and files that several tasks share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.classes import Colour, default_palette
from pixelwise.language import message
from pixelwise.losses import LOSSES, loss_for, presence_loss
from pixelwise.tasks.bands import Bands, with_holes
from pixelwise.tasks.base import Loss, LossChoice, Task
from pixelwise.tasks.class_examination import FILES as EXAMINER_FILES
from pixelwise.tasks.class_examiner import ClassExaminer
from pixelwise.tasks.class_results import ClassScorer
from pixelwise.tasks.merging import mean_sigmoid, mean_softmax


class ClassMasks(Task):
    """What the tasks with one class per pixel share."""

    data = "classes"
    losses = LOSSES
    summed = True
    result_files = ("classes.csv", "confusion.png")
    examiner_files = EXAMINER_FILES

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
        """Cross-entropy, another loss, or a weighted sum of several."""
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

    def examiner(self, *, boundary: int | None = None) -> ClassExaminer:
        """The matrix of every picture, calibration and thresholds, and borders where asked."""
        return ClassExaminer(
            self.names,
            self.described.ignore_index,
            self.probabilities,
            boundary,
            single=self.described.num_classes == 1,
        )

    def probabilities(self, logits: Float[Tensor, "k h w"]) -> Float[Tensor, "c h w"]:
        """Of every class, the background of a single logit included; in float32 at least."""
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if len(wide) > 1:
            return wide.softmax(dim=0)
        positive = wide.sigmoid()
        return torch.cat([1 - positive, positive])

    def merged(self, views: Sequence[Float[Tensor, "n k h w"]]) -> Float[Tensor, "n k h w"]:
        """Those of the mean probabilities."""
        return mean_sigmoid(views) if views[0].shape[1] == 1 else mean_softmax(views)

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
        self.record(folder, name, answer, missing, source)
        tinted = self.shown(image, answer, missing)
        pictures.write_bytes(folder / self.file_names(name)[1], pictures.png(tinted))

    def record(
        self, folder: Path, name: str, answer: Tensor, missing: Tensor | None, source: Path
    ) -> None:
        """An index mask with a palette."""
        mask, file = self._mask(answer, missing), folder / self.file_names(name)[0]
        pictures.write_index_png(file, mask, self.palette, ignore_index=self.ignored)

    def shown(self, image: ndarray, answer: Tensor, missing: Tensor | None) -> ndarray:
        """The picture tinted by class."""
        mask = self._mask(answer, missing)
        tinted: ndarray = pictures.overlay(image, mask, self.palette, ignore_index=self.ignored)
        return tinted

    def _mask(self, answer: Tensor, missing: Tensor | None) -> ndarray:
        found = answer if missing is None else answer.masked_fill(missing, self.ignored)
        wide = max(self.ignored, self.count) > 255
        mask: ndarray = found.numpy().astype(np.uint16 if wide else np.uint8)
        return mask

    def bands(self) -> Bands:
        """One band of class numbers."""
        dtype = "uint16" if max(self.ignored, self.count) > 255 else "uint8"

        def numbers(logits: Tensor, missing: Tensor | None) -> ndarray:
            answer = self.answer(logits[None]).numpy()
            return with_holes(answer, missing, dtype, self.ignored)

        return Bands(("class",), dtype, self.ignored, numbers, self.names, tuple(self.palette))

    def shares(self, logits: Float[Tensor, "k h w"]) -> tuple[tuple[str, ...], Tensor]:
        """The probability of every class."""
        return self.names, self.probabilities(logits)

    @property
    def without_data(self) -> str:
        """The mask value that stands for it."""
        return message("{ignored} in their masks", ignored=self.ignored)
