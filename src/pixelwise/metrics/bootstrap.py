"""Intervals of a data set's scores, by drawing its pictures again.

From n pictures n are drawn with replacement; the IoU of each class and their mean come from the
drawn pictures' summed counts, as for the whole set. The interval is from the 2.5th to the 97.5th
percentile of 1000 such draws. It says how far the score depends on which pictures were evaluated,
not how far another training would lead elsewhere; of few pictures it is too narrow.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from dataclasses import dataclass

import numpy as np
import torch

from pixelwise.metrics.pictures import PictureCounts

DRAWS = 1000
SEED = 0
ENDS = (2.5, 97.5)
Interval = tuple[float, float] | None
"""Lower and upper end; None where there is none: one picture, or a class that is absent."""


@dataclass(frozen=True)
class Intervals:
    """95 % intervals of the mean IoU and of each class's IoU."""

    miou: Interval
    iou: tuple[Interval, ...]


def intervals(pictures: PictureCounts, *, draws: int = DRAWS, seed: int = SEED) -> Intervals:
    """Intervals over pictures, those alone that have a pixel that counts.

    Args:
        pictures: At least one.
        draws: How often pictures are drawn.
        seed: Of the draws; the pictures' names and order do not matter.
    """
    stacked = torch.stack(list(pictures.counts.values())).numpy()
    counts = stacked[stacked[:, 1].sum(axis=1) > 0]
    number, classes = len(counts), stacked.shape[2]
    if number < 2:
        return Intervals(None, (None,) * classes)
    # The order in which processes give the pictures must not change what is drawn.
    counts = counts[np.lexsort(counts.reshape(number, -1).T)].astype(np.float64)
    drawn = np.random.default_rng(seed).multinomial(number, [1 / number] * number, size=draws)
    right, truth, predicted = np.moveaxis(
        (drawn.astype(np.float64) @ counts.reshape(number, -1)).reshape(draws, 3, classes), 1, 0
    )
    present = truth > 0
    iou = np.where(present, right / np.maximum(truth + predicted - right, 1), 0.0)
    mean = iou.sum(axis=1) / present.sum(axis=1)
    each = tuple(_interval(iou[present[:, c], c]) for c in range(classes))
    return Intervals(_interval(mean), each)


def _interval(values: np.ndarray) -> Interval:
    if not len(values):
        return None
    low, high = np.percentile(values, ENDS)
    return float(low), float(high)
