"""All scores of masks with one class per pixel, as people see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pixelwise import pictures
from pixelwise.language import cells, left, mark, right, translate
from pixelwise.metrics import (
    BoundaryCounts,
    Calibration,
    Confusion,
    Interval,
    PictureCounts,
    ThresholdCounts,
    intervals,
)
from pixelwise.metrics.tallies import Tallies
from pixelwise.tasks.class_results import ClassResult, csv_table
from pixelwise.tasks.tallying import class_tallies

FILES = ("pictures.csv", "thresholds.csv", "thresholds.png")
SHOWN = 3
"""So many of the worst pictures are named."""
EVERY = 10
"""Of the thresholds, those that a table has."""
BORDERS = {
    "boundary_iou": mark("boundary IoU"),
    "boundary_f": mark("boundary F"),
    "tolerant_f1": mark("tolerant F1"),
}


@dataclass(frozen=True)
class ClassCounts:
    """What an evaluation counted; `single` is whether one logit stands for both classes."""

    names: tuple[str, ...]
    confusion: Confusion
    pictures: PictureCounts
    calibration: Calibration
    thresholds: ThresholdCounts
    borders: BoundaryCounts | None
    single: bool


class ClassExamination(ClassResult):
    """IoU with intervals, precision, recall and F1, calibration, thresholds, and each picture."""

    def __init__(self, counts: ClassCounts) -> None:
        super().__init__(counts.confusion, counts.names)
        self.counts = counts
        self.rates = counts.confusion.rates()
        self.intervals = intervals(counts.pictures)
        number = range(len(self.names))
        self.average_precision = tuple(map(counts.thresholds.average_precision, number))
        self.calibration_error = counts.calibration.error()
        self.curves = {c: curve for c in number if (curve := counts.thresholds.curve(c))}
        self.borders: dict[str, tuple[float | None, ...]] = {}
        if counts.borders is not None:
            self.borders = {name: getattr(counts.borders, name)() for name in BORDERS}

    @property
    def best_threshold(self) -> float | None:
        """Of class 1, where F1 is largest; None where there is nothing to choose or no class 1."""
        if not self.counts.single or 1 not in self.curves:
            return None
        return float(self.curves[1].thresholds[self.curves[1].best])

    def summary(self) -> Mapping[str, Any]:
        """All numbers but those of pictures and thresholds."""
        columns = {
            "precision": self.rates.precision,
            "recall": self.rates.recall,
            "f1": self.rates.f1,
            "average_precision": self.average_precision,
            "iou_interval": self.intervals.iou,
            **self.borders,
        }
        borders = self.counts.borders
        return {
            **super().summary(),
            "miou_interval": self.intervals.miou,
            "calibration_error": self.calibration_error,
            **{
                name: dict(zip(self.names, values, strict=True)) for name, values in columns.items()
            },
            **({} if borders is None else {"boundary_tolerance": borders.tolerance}),
            **({} if self.best_threshold is None else {"best_threshold": self.best_threshold}),
        }

    def tallies(self) -> Tallies:
        """Right, true and predicted pixels of every class."""
        return class_tallies(self.counts.pictures, self.names)

    def table(self) -> str:
        """Per class all shares in percent; below it the means, and what else there is to tell."""
        heads = [
            translate("IoU %"),
            translate("95 % interval"),
            translate("precision"),
            translate("recall"),
            "F1",
            "AP",
        ]
        heads += [translate(BORDERS[name]) for name in self.borders]
        columns = [
            [_percent(iou, translate("absent")) for iou in self.scores.iou],
            map(_interval, self.intervals.iou),
            *(map(_percent, values) for values in self._shares()),
        ]
        rows = [
            [name, *told, f"{pixels:,}"]
            for name, *told, pixels in zip(self.names, *columns, self.scores.pixels, strict=True)
        ]
        means = [_percent(self._mean(values)) for values in self._shares()]
        low_high = _interval(self.intervals.miou)
        rows.append([translate("mean"), f"{100 * self.scores.miou:.2f}", low_high, *means, ""])
        rows.insert(0, [translate("class"), *heads, translate("truth pixels")])
        widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                left(cell, width) if i == 0 else right(cell, width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *self._remarks()])

    def _remarks(self) -> list[str]:
        told = translate("pixel accuracy {accuracy:.2f} %").format(
            accuracy=100 * self.scores.accuracy
        )
        if self.calibration_error is not None:
            told += translate(", calibration error (ECE) {calibration_error:.2f} %").format(
                calibration_error=100 * self.calibration_error
            )
        counts, best = self.counts.pictures, self.best_threshold
        lines = [
            translate("{told}, {counts} pictures").format(told=told, counts=len(counts.counts))
        ]
        if len(counts.counts) > 1:
            worst = [f"{n} {_percent(counts.miou(n))}" for n in counts.worst_first()[:SHOWN]]
            lines.append(translate("lowest mIoU: {worst}").format(worst=", ".join(worst)))
        if best is not None:
            f1 = 100 * float(self.curves[1].f1.max())
            lines.append(
                translate("largest F1 of {it}: {f1:.2f} % at threshold {best:g}").format(
                    it=self.names[1], f1=f1, best=best
                )
            )
        return lines

    def files(self) -> Mapping[str, bytes]:
        """Tables of classes, pictures (the worst first) and thresholds, and pictures of them."""
        shares = ["precision", "recall", "f1", "average_precision", *self.borders]
        ends = [("", "") if one is None else one for one in self.intervals.iou]
        classes = [
            [name, iou, pixels, *interval, *rest]
            for (name, iou, pixels), interval, *rest in zip(
                self._rows(), ends, *self._shares(), strict=True
            )
        ]
        return {
            **super().files(),
            "classes.csv": csv_table(
                ["class", "iou", "truth_pixels", "iou_low", "iou_high", *shares], classes
            ),
            "pictures.csv": self._pictures(),
            "thresholds.csv": self._thresholds(),
            "thresholds.png": pictures.precision_over_recall(
                {
                    self.names[c]: (curve.recall.numpy(), curve.precision.numpy())
                    for c, curve in self._rarest()
                }
            ),
        }

    def _shares(self) -> list[tuple[float | None, ...]]:
        rates = self.rates
        each = [rates.precision, rates.recall, rates.f1, self.average_precision]
        return each + list(self.borders.values())

    def _mean(self, values: tuple[float | None, ...]) -> float | None:
        """Over the classes that occur; what is never predicted has a precision of 0."""
        pairs = zip(values, self.scores.iou, strict=True)
        known = [value for value, iou in pairs if iou is not None]
        if values == self.rates.precision:
            known = [value or 0.0 for value in known]
        there = [value for value in known if value is not None]
        return sum(there) / len(there) if there else None

    def _rarest(self) -> list[tuple[int, Any]]:
        """The curves that are drawn: all but the first of two classes, rare ones first."""
        shown = [c for c in self.curves if not (self.counts.single and c == 0)]
        return [(c, self.curves[c]) for c in sorted(shown, key=lambda c: self.scores.pixels[c])]

    def _pictures(self) -> bytes:
        counts = self.counts.pictures
        rows = [
            [
                name,
                counts.miou(name),
                counts.accuracy(name),
                int(counts.counts[name][1].sum()),
                *counts.iou(name),
            ]
            for name in counts.worst_first()
        ]
        head = ["picture", "miou", "accuracy", "truth_pixels", *(f"iou_{n}" for n in self.names)]
        return csv_table(head, rows)

    def _thresholds(self) -> bytes:
        rows = [
            [self.names[c], *(f"{value:.6g}" for value in row)]
            for c, curve in self._rarest()
            for row in torch.stack([curve.thresholds, curve.precision, curve.recall, curve.f1])
            .T[EVERY - 1 :: EVERY]
            .tolist()
        ]
        return csv_table(["class", "threshold", "precision", "recall", "f1"], rows)


def _percent(value: float | None, otherwise: str = "-") -> str:
    return otherwise if value is None else f"{100 * value:.2f}"


def _interval(ends: Interval) -> str:
    return "" if ends is None else f"{100 * ends[0]:.2f}-{100 * ends[1]:.2f}"
