"""Several labels per pixel: one logit per label, each on its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.classes import Colour, default_palette
from pixelwise.data.georeference import geo_tags, labels_tiff
from pixelwise.data.keys import as_float
from pixelwise.data.labels_survey import LabelsSurvey
from pixelwise.data.source import Found, Source
from pixelwise.errors import InputError, unknown
from pixelwise.language import message
from pixelwise.losses import LOSSES, class_weights_from_counts, loss_for, occurrence_loss
from pixelwise.tasks.bands import Bands, with_holes
from pixelwise.tasks.base import Loss, LossChoice, Task
from pixelwise.tasks.merging import mean_sigmoid
from pixelwise.tasks.multilabel.results import LabelScorer
from pixelwise.tasks.multilabel.scores import USUAL

AUTO = "auto"
UNKNOWN = 255
"""What stands in predicted files where a picture has no data."""
MOST_PLACES = 8


class Multilabel(Task):
    """Any number of labels per pixel, none too.

    The answer is the probability of each label, sigmoid(logit), (k, h, w); a label is there where
    it reaches its threshold.

    Options, in `task_options`:
        thresholds: Per label: a number for all, a list, or name -> number (0.5 for the others);
            "auto" takes those of 0.05, 0.10, ... 0.95 with the largest IoU on val. 0.5 by default.
    """

    key = "multilabel"
    summary = "several labels per pixel, which may overlap"
    data = "labels"
    losses = LOSSES
    summed = True
    result_files = ("labels.csv", "thresholds.png")

    def check(self) -> None:
        """Raise for options that there are not, or thresholds that do not fit the labels."""
        options, count = self.described.task_options, self.described.num_classes
        for name in options:
            if name != "thresholds":
                raise unknown("option", name, ("thresholds",), "of multilabel")
        found = options.get("thresholds", USUAL)
        if found == AUTO:
            return
        if isinstance(found, tuple) and len(found) != count:
            raise InputError(f"thresholds={found}: must be one per label, {count}; correct them")
        for value in found if isinstance(found, tuple) else (found,):
            _threshold(value)

    @classmethod
    def options(cls, source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The thresholds that the user states, by label.

        Raises:
            InputError: An option that there is not, or a threshold that cannot be.
        """
        for name in settings:
            if name != "thresholds":
                raise unknown("option", name, ("thresholds",), "of multilabel")
        names, told = source.classes.names, settings.get("thresholds", USUAL)
        if told == AUTO:
            return {"thresholds": AUTO}
        if isinstance(told, dict):
            given = {str(name): value for name, value in told.items()}
            for name in given:
                if name not in names:
                    raise unknown("label", name, names, "in thresholds")
            told = [given.get(name, USUAL) for name in names]
        each = told if isinstance(told, list | tuple) else [told] * len(names)
        if len(each) != len(names):
            raise InputError(
                f"thresholds={told!r}: must be one per label, {len(names)}"
                f" ({', '.join(names)}); write as many, a number for all, or auto"
            )
        return {"thresholds": tuple(_threshold(value) for value in each)}

    @classmethod
    def class_weights(cls, found: Found) -> Float32[Tensor, "2 k"]:
        """Each label as two classes, there and not there; see `class_weights_from_counts`."""
        assert isinstance(found, LabelsSurvey)
        pairs = [
            class_weights_from_counts((known - on, on))
            for on, known in zip(found.counts, found.known, strict=True)
        ]
        return torch.stack(pairs, dim=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the labels."""
        known, count = self.described.names, self.described.num_classes
        return known if len(known) == count else tuple(f"label {i}" for i in range(count))

    @property
    def palette(self) -> tuple[Colour, ...]:
        """A colour per label."""
        known, count = self.described.palette, self.described.num_classes
        return known if len(known) >= count else default_palette(count + 1)[1:]

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """One per label; None: they are still to be chosen."""
        found = self.described.task_options.get("thresholds", USUAL)
        if found == AUTO:
            return None
        return found if isinstance(found, tuple) else (float(found),) * self.described.num_classes

    def answer(self, logits: Float[Tensor, "n k h w"]) -> Float32[Tensor, "n k h w"]:
        """The probability of each label."""
        return logits.float().sigmoid()

    def merged(self, views: Sequence[Float[Tensor, "n k h w"]]) -> Float[Tensor, "n k h w"]:
        """Those of the mean probabilities."""
        return mean_sigmoid(views)

    def labels(self, answer: Float[Tensor, "k h w"]) -> ndarray:
        """Where each label is: bool (k, h, w); with thresholds of 0.5 while none are chosen."""
        thresholds = self.thresholds or (USUAL,) * self.described.num_classes
        found: ndarray = (answer >= answer.new_tensor(thresholds)[:, None, None]).numpy()
        return found

    def loss(self, choice: LossChoice) -> Loss:
        """Of each label on its own."""
        return loss_for(
            self.key,
            loss=self.chosen(choice),
            class_weights=choice.weights,
            ignore_index=self.described.ignore_index,
        )

    def presence_loss(self, logits: Float[Tensor, "n k"], target: Tensor) -> Tensor:
        """Which labels occur."""
        return occurrence_loss(logits, target == 1, target != self.described.ignore_index)

    def confidence(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The probability of each label."""
        return logits.sigmoid()

    def places(self, answer: Float[Tensor, "k h w"]) -> list[tuple[int, int]]:
        """For the labels that cover most, the pixel where each stands out most from the others."""
        areas = self.labels(answer).sum((1, 2))
        order = sorted(range(len(answer)), key=lambda i: -int(areas[i]))
        shown = [i for i in order if areas[i]][:MOST_PLACES] or order[:1]
        found = []
        for i in shown:
            others = answer[[j for j in range(len(answer)) if j != i]]
            margin = answer[i] - (others.amax(dim=0) if len(others) else 0)
            found.append(divmod(int(margin.argmax()), answer.shape[2]))
        return list(dict.fromkeys(found))

    def scorer(self) -> LabelScorer:
        """Counts per label."""
        return LabelScorer(self.names, self.thresholds)

    def picture(self, image: ndarray, target: Tensor, answer: Tensor) -> ndarray:
        """Picture, true labels and predicted labels; stripes where they overlap."""
        return self.compared(image, target, {"prediction": answer})

    def compared(self, image: ndarray, target: Tensor, answers: Mapping[str, Tensor]) -> ndarray:
        """Picture, true labels and the labels of every answer."""
        unknown: ndarray = (target == self.described.ignore_index).all(dim=0).numpy()
        panels = {"truth": ((target == 1).numpy(), unknown)}
        for label, answer in answers.items():
            panels[label] = (self.labels(answer), np.zeros_like(unknown))
        found: ndarray = pictures.label_panels(image, panels, self.names, self.palette)
        return found

    def file_names(self, name: str) -> tuple[str, ...]:
        """A band of 0 and 1 per label, and the labels over the picture."""
        return f"{name}.tif", f"{name}_overlay.png"

    def write(
        self,
        folder: Path,
        name: str,
        image: ndarray,
        answer: Tensor,
        missing: Tensor | None,
        source: Path,
    ) -> None:
        """A TIFF that lies where a GeoTIFF lay, and the labels over the picture with a legend."""
        self.record(folder, name, answer, missing, source)
        labels, without = self._known(answer, missing)
        sheet = pictures.label_sheet(image, labels, self.names, self.palette, without)
        pictures.write_bytes(folder / self.file_names(name)[1], pictures.png(sheet))

    def record(
        self, folder: Path, name: str, answer: Tensor, missing: Tensor | None, source: Path
    ) -> None:
        """A TIFF of 0 and 1 per label, which lies where a GeoTIFF lay."""
        labels, without = self._known(answer, missing)
        bands = labels.astype(np.uint8)
        if without is not None:
            bands[:, without] = UNKNOWN
        content = labels_tiff(bands, self.names, UNKNOWN, geo_tags(source))
        pictures.write_bytes(folder / self.file_names(name)[0], content)

    def shown(self, image: ndarray, answer: Tensor, missing: Tensor | None) -> ndarray:
        """The labels over the picture."""
        labels, without = self._known(answer, missing)
        found: ndarray = pictures.label_overlay(image, labels, self.palette, without)
        return found

    def _known(self, answer: Tensor, missing: Tensor | None) -> tuple[ndarray, ndarray | None]:
        """Where each label is, and which pixels have no data."""
        labels = self.labels(answer)
        if missing is None:
            return labels, None
        without: ndarray = missing.numpy()
        return labels & ~without, without

    def bands(self) -> Bands:
        """A band of 0 and 1 per label."""

        def numbers(logits: Tensor, missing: Tensor | None) -> ndarray:
            found = self.labels(self.answer(logits[None])[0])
            return with_holes(found, missing, "uint8", UNKNOWN)

        return Bands(self.names, "uint8", UNKNOWN, numbers)

    def shares(self, logits: Float[Tensor, "k h w"]) -> tuple[tuple[str, ...], Tensor]:
        """The probability of every label."""
        return self.names, self.answer(logits[None])[0]

    @property
    def without_data(self) -> str:
        """The value that stands for it."""
        return message("{unknown} in their files", unknown=UNKNOWN)


def _threshold(value: object) -> float:
    number = as_float(value)
    if number is None or not 0 < number < 1:
        raise InputError(
            f"thresholds: {value!r} must be a number between 0 and 1, or auto for all; e.g. 0.5"
        )
    return number
