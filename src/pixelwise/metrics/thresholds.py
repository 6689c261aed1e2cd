"""Precision and recall of a class at every threshold of its probability.

Pixels are counted in 1000 bins of equal width by the probability of the class. At a threshold, all
pixels of the bins above it count as predicted:

    precision = TP / (TP + FP)      recall = TP / (TP + FN)      F1 = 2 TP / (2 TP + FP + FN)
    AP = sum over thresholds, falling, of (recall - recall before) * precision
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from pixelwise.checks import at_least

BINS = 1000


@dataclass(frozen=True)
class Curve:
    """Precision, recall and F1 of a class at `thresholds`, which rise from 0.001 to 0.999.

    Precision is 1 where nothing is predicted.
    """

    thresholds: Float64[Tensor, "t"]
    precision: Float64[Tensor, "t"]
    recall: Float64[Tensor, "t"]
    f1: Float64[Tensor, "t"]

    @property
    def best(self) -> int:
        """Where F1 is largest; of equal ones the middle one."""
        ties = (self.f1 == self.f1.max()).nonzero().flatten()
        return int(ties[len(ties) // 2])


class ThresholdCounts:
    """Pixels by class, truth and bin of probability; `counts` is (k, 2, 1000), int64.

    Args:
        classes: How many have probabilities; 1 for a binary task.
    """

    def __init__(self, classes: int) -> None:
        at_least(1, classes=classes)
        self.counts: Int64[Tensor, "k 2 b"] = torch.zeros(classes, 2, BINS, dtype=torch.int64)

    def update(self, probabilities: Float[Tensor, "k n"], truth: Bool[Tensor, "k n"]) -> None:
        """Count pixels, class by class."""
        for counts, probability, true in zip(self.counts, probabilities, truth, strict=True):
            bins = (probability * BINS).long().clamp(0, BINS - 1) + BINS * true
            counts += torch.bincount(bins, minlength=2 * BINS).view(2, BINS).cpu()

    def __add__(self, other: "ThresholdCounts") -> "ThresholdCounts":
        """The counts of both."""
        total = ThresholdCounts(len(self.counts))
        total.counts = self.counts + other.counts
        return total

    def curve(self, number: int) -> Curve | None:
        """The curve of a class; None where no true pixel has it."""
        false, true = self.counts[number].double()
        if true.sum() == 0:
            return None
        found, wrong = (one.flip(0).cumsum(0).flip(0)[1:] for one in (true, false))
        predicted = found + wrong
        return Curve(
            thresholds=torch.arange(1, BINS, dtype=torch.float64) / BINS,
            precision=torch.where(predicted > 0, found / predicted.clamp(min=1), 1.0),
            recall=found / true.sum(),
            f1=2 * found / (predicted + true.sum()),
        )

    def average_precision(self, number: int) -> float | None:
        """AP of a class, threshold 0 included; None where no true pixel has it."""
        false, true = self.counts[number].double().flip(1).cumsum(1)
        if true[-1] == 0:
            return None
        precision = true / (true + false).clamp(min=1)
        recall = true / true[-1]
        return float((recall.diff(prepend=recall.new_zeros(1)) * precision).sum())
