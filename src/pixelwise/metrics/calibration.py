"""Whether probabilities mean what they say.

Pixels are sorted into bins by the probability of the class that is answered. With n_b pixels in bin
b, their mean probability p_b and the share a_b of them that is right,

    ECE = sum_b n_b / n |a_b - p_b|        expected calibration error

Source: Guo et al., "On Calibration of Modern Neural Networks", 2017,
https://arxiv.org/abs/1706.04599; 15 bins of equal width, as there.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BINS = 15
UNIT = 2**20
"""Probabilities are summed as whole numbers of 1 / UNIT, so that the order does not matter."""


class Calibration:
    """Counts by bin: pixels, right ones, and the sum of their probabilities; `sums` is (3, 15)."""

    def __init__(self) -> None:
        self.sums = torch.zeros(3, BINS, dtype=torch.int64)

    def update(self, confidence: Float[Tensor, "n"], right: Bool[Tensor, "n"]) -> None:
        """Count pixels: how sure the answer is, and whether it is right."""
        units = (confidence.double() * UNIT).round().long()
        # A bin holds its upper end.
        bins = ((units * BINS + UNIT - 1) // UNIT - 1).clamp(0, BINS - 1)
        sums = torch.zeros(3, BINS, dtype=torch.int64, device=units.device)
        for row, amount in zip(sums, (torch.ones_like(units), right.long(), units), strict=True):
            row.scatter_add_(0, bins, amount)
        self.sums += sums.cpu()

    def __add__(self, other: "Calibration") -> "Calibration":
        """The counts of both."""
        total = Calibration()
        total.sums = self.sums + other.sums
        return total

    def bins(self) -> list[tuple[int, float | None, float | None]]:
        """Per bin: pixels, their mean probability, and the share of them that is right."""
        return [
            (n, units / UNIT / n if n else None, right / n if n else None)
            for n, right, units in self.sums.T.tolist()
        ]

    def error(self) -> float | None:
        """The ECE, 0..1; None where nothing is counted."""
        pixels, right, units = self.sums.tolist()
        if not sum(pixels):
            return None
        apart = (abs(r - u / UNIT) for r, u in zip(right, units, strict=True))
        return sum(apart) / sum(pixels)
