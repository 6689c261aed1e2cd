"""How well predicted labels agree with the truth, over a whole data set, label by label.

With the pixels TP (predicted and true), FP (predicted alone) and FN (true alone) among those where
the label is known,

    IoU = TP / (TP + FP + FN)               precision = TP / (TP + FP)
    F1 = 2 TP / (2 TP + FP + FN)            recall    = TP / (TP + FN)

A label is predicted where its probability reaches its threshold. The counts of all thresholds of
`GRID` are kept, so that the one with the largest IoU is known exactly.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

GRID = tuple(round(0.05 * i, 2) for i in range(1, 20))
USUAL = 0.5


@dataclass(frozen=True)
class LabelScores:
    """The scores of one label; None where there is nothing to tell.

    Args:
        threshold: From this probability on it is predicted.
        truth: True pixels; None of IoU, recall and F1 without any.
        predicted: Predicted pixels; no precision without any.
        both: Those that are both.
        by_threshold: IoU at each threshold of `GRID`; empty without true pixels.
    """

    threshold: float
    truth: int
    predicted: int
    both: int
    by_threshold: tuple[float, ...]

    @property
    def iou(self) -> float | None:
        """Intersection over union."""
        return self.both / (self.truth + self.predicted - self.both) if self.truth else None

    @property
    def precision(self) -> float | None:
        """Share of the predicted pixels that are true."""
        return self.both / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Share of the true pixels that are predicted."""
        return self.both / self.truth if self.truth else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        return 2 * self.both / (self.truth + self.predicted) if self.truth else None


class LabelCounts:
    """Counts one label's pixels by truth and probability.

    Args:
        threshold: From this probability on it is predicted; None: the best of `GRID`.
    """

    def __init__(self, threshold: float | None) -> None:
        self.threshold = threshold
        self.edges = sorted({*GRID, *(() if threshold is None else (threshold,))})
        self._edges = torch.tensor(self.edges, dtype=torch.float32)
        self._counts = torch.zeros(2, len(self.edges) + 1, dtype=torch.int64)

    def add(
        self, chance: Float[Tensor, "h w"], truth: Int64[Tensor, "h w"]
    ) -> Int64[Tensor, "2 places"]:
        """One picture; the truth is neither 0 nor 1 where it is not known. What was added."""
        place = torch.bucketize(chance.contiguous(), self._edges, right=True)  # edges at or below
        found = torch.stack(
            [
                torch.bincount(place[truth == value], minlength=len(self.edges) + 1)
                for value in (0, 1)
            ]
        )
        self._counts += found
        return found

    def at(self, counts: Int[Tensor, "2 places"], threshold: float) -> list[int]:
        """Of what `add` gave: pixels that are both, true, predicted, and known."""
        reached = counts[:, self.edges.index(threshold) + 1 :].sum(dim=1)
        return [int(reached[1]), int(counts[1].sum()), int(reached.sum()), int(counts.sum())]

    def __add__(self, other: "LabelCounts") -> "LabelCounts":
        """The counts of both, of one threshold."""
        whole = LabelCounts(self.threshold)
        whole._counts = self._counts + other._counts
        return whole

    @property
    def known(self) -> int:
        """Pixels that were counted."""
        return int(self._counts.sum())

    def scores(self) -> LabelScores:
        """At the threshold."""
        # Of each edge: pixels without and with the label whose probability reaches it.
        wrong, right = self._counts.flip(1).cumsum(1).flip(1)[:, 1:].tolist()
        truth = int(self._counts[1].sum())
        iou = {
            edge: right[i] / (truth + wrong[i]) if truth else 0.0
            for i, edge in enumerate(self.edges)
        }
        threshold = self.threshold
        if threshold is None:
            threshold = max(GRID, key=lambda edge: (iou[edge], -abs(edge - USUAL)))
        at = self.edges.index(threshold)
        curve = tuple(iou[edge] for edge in GRID) if truth else ()
        return LabelScores(threshold, truth, right[at] + wrong[at], right[at], curve)
