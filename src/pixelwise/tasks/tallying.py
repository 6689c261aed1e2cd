"""Scores of classes and labels from the pixels that each picture adds."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from pixelwise.language import message
from pixelwise.metrics import Kind, PictureCounts, Tallies
from pixelwise.metrics.tallies import mean_of_known, share


def class_tallies(counts: PictureCounts, names: Sequence[str]) -> Tallies:
    """Mean IoU, accuracy, and the IoU of each class."""
    pictures = tuple(counts.counts)
    each = np.stack([counts.counts[name].numpy() for name in pictures]).astype(np.float64)

    def scores(sums: ndarray) -> ndarray:
        right, truth, predicted = np.split(sums, 3, axis=1)
        iou = np.where(truth > 0, share(right, truth + predicted - right), np.nan)
        accuracy = share(right.sum(axis=1), truth.sum(axis=1))
        return np.column_stack([mean_of_known(iou), accuracy, iou])

    kinds = (Kind("miou", message("mean IoU")), Kind("accuracy", message("pixel accuracy")))
    return Tallies(
        pictures,
        each.reshape(len(pictures), -1),
        each[:, 1].sum(axis=1),
        (*kinds, *(Kind(f"iou_{name}", name) for name in names)),
        scores,
    )


def label_tallies(pictures: tuple[str, ...], counts: ndarray, names: Sequence[str]) -> Tallies:
    """Mean IoU and F1, and the IoU of each label.

    Args:
        pictures: Their names.
        counts: Pixels that are both, true, predicted, and known, (n, 4, k).
        names: Of the labels.
    """

    def scores(sums: ndarray) -> ndarray:
        right, truth, predicted, _ = np.split(sums, 4, axis=1)
        iou = np.where(truth > 0, share(right, truth + predicted - right), np.nan)
        f1 = np.where(truth > 0, share(2 * right, truth + predicted), np.nan)
        return np.column_stack([mean_of_known(iou), mean_of_known(f1), iou])

    kinds = (Kind("miou", message("mean IoU")), Kind("mean_f1", message("mean F1")))
    return Tallies(
        pictures,
        counts.reshape(len(pictures), -1).astype(np.float64),
        counts[:, 3].sum(axis=1).astype(np.float64),
        (*kinds, *(Kind(f"iou_{name}", name) for name in names)),
        scores,
    )
