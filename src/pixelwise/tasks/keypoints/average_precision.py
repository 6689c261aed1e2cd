"""Average precision and recall of predicted points by OKS, as pycocotools counts them.

Per area range and threshold t = 0.50, 0.55 .. 0.95, the best 20 predictions of a picture, best
first, each take the free label with the largest OKS >= t. A label of the range counts; crowds,
labels without points and those of another area are taken last, and what takes them does not count,
nor does a prediction without a label whose own extent is outside of the range. Over all pictures,
best first, with the right ones TP, the wrong ones FP and N labels,

    recall = TP / N,   precision = TP / (TP + FP), made monotone, read at recall 0, 0.01 .. 1
    AP = mean precision over thresholds and recalls,   AR = mean of the last recall over thresholds

A figure without any label to count is None (pycocotools: -1).

Source: https://cocodataset.org/#keypoints-eval. Reference: pycocotools 2.0.11,
pycocotools/cocoeval.py (Simplified BSD).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray

from pixelwise.tasks.keypoints.oks import EPS, needed_sigmas, oks

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS: Mapping[str, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
BEST = 20
"""Predictions per picture that count."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Labelled things of all pictures, in the pixels of a COCO file.

    Args:
        points: (x, y), whole numbers at pixel centres.
        labelled: Which points are.
        boxes: (left, top, width, height).
        areas: Square pixels.
        crowd: Things that are not told apart.
        image: Number of the picture.
    """

    points: Float[ndarray, "g k 2"]
    labelled: Bool[ndarray, "g k"]
    boxes: Float[ndarray, "g 4"]
    areas: Float[ndarray, " g"]
    crowd: Bool[ndarray, " g"]
    image: Int[ndarray, " g"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted things of all pictures: points like those of `Labels`, score, picture."""

    points: Float[ndarray, "d k 2"]
    scores: Float[ndarray, " d"]
    image: Int[ndarray, " d"]


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """What pycocotools calls the evaluation.

    Args:
        oks: Similarity of each prediction with each label; -1 where they are not compared.
        precision: Per threshold, recall and area range; -1 without a label.
        recall: Per threshold and area range; -1 without a label.
        stats: "AP", "AP50", "AP75", "AP medium", "AP large", and the same of "AR".
    """

    oks: Float64[ndarray, "d g"]
    precision: Float64[ndarray, "10 101 3"]
    recall: Float64[ndarray, "10 3"]
    stats: Mapping[str, float | None]


def average_precision(
    labels: Labels, predictions: Predictions, sigmas: Sequence[float] | None
) -> AveragePrecision:
    """All figures of a data set.

    Raises:
        InputError: No sigmas, or not one number above 0 per point.
    """
    needed_sigmas(sigmas, labels.points.shape[1])
    similar = np.full((len(predictions.scores), len(labels.areas)), -1.0)
    precision = np.full((len(THRESHOLDS), len(RECALLS), len(AREAS)), -1.0)
    recall = np.full((len(THRESHOLDS), len(AREAS)), -1.0)
    pictures = []
    for image in np.unique(np.concatenate([labels.image, predictions.image])):
        g = np.flatnonzero(labels.image == image)
        d = np.flatnonzero(predictions.image == image)
        d = d[np.argsort(-predictions.scores[d], kind="stable")][:BEST]
        similar[np.ix_(d, g)] = oks(
            predictions.points[d],
            labels.points[g],
            labels.labelled[g],
            labels.boxes[g],
            labels.areas[g],
            sigmas,
        )
        pictures.append((d, g))
    for number, between in enumerate(AREAS.values()):
        _accumulate(
            [_matched(labels, predictions, similar, d, g, between) for d, g in pictures],
            precision[..., number],
            recall[:, number],
        )
    return AveragePrecision(similar, precision, recall, _stats(precision, recall))


@dataclass(frozen=True, eq=False)
class _Matched:
    """One picture: its predictions, best first, and how many of its labels count."""

    scores: ndarray
    right: Bool[ndarray, "10 d"]
    wrong: Bool[ndarray, "10 d"]
    labels: int


def _matched(
    labels: Labels,
    predictions: Predictions,
    similar: ndarray,
    d: ndarray,
    g: ndarray,
    between: tuple[float, float],
) -> _Matched:
    low, high = between
    area = labels.areas[g]
    ignored = labels.crowd[g] | ~labels.labelled[g].any(axis=1) | (area < low) | (area > high)
    order = np.argsort(ignored, kind="stable")
    g, ignored = g[order], ignored[order]
    extent = np.ptp(predictions.points[d].astype(np.float64), axis=1).prod(axis=-1)
    outside = (extent < low) | (extent > high)
    right, wrong = np.zeros((2, len(THRESHOLDS), len(d)), dtype=bool)
    for t, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(g), dtype=bool)
        for place, prediction in enumerate(d):
            found = _best(similar[prediction, g], free | labels.crowd[g], ignored, threshold)
            if found is None:
                wrong[t, place] = not outside[place]
            else:
                free[found] = False
                right[t, place] = not ignored[found]
    return _Matched(predictions.scores[d], right, wrong, int((~ignored).sum()))


def _best(similar: ndarray, free: ndarray, ignored: ndarray, threshold: float) -> int | None:
    """The last of the free labels with the largest similarity; ignored ones if no other fits."""
    fits = free & (similar >= min(threshold, 1 - 1e-10))
    for group in (~ignored, ignored):
        places = np.flatnonzero(fits & group)
        if places.size:
            return int(places[::-1][np.argmax(similar[places[::-1]])])
    return None


def _accumulate(pictures: list[_Matched], precision: ndarray, recall: ndarray) -> None:
    """Fill precision (thresholds, recalls) and recall (thresholds) of one area range."""
    count = sum(picture.labels for picture in pictures)
    if not count:
        return
    scores = np.concatenate([picture.scores for picture in pictures])
    order = np.argsort(-scores, kind="stable")
    right = np.concatenate([picture.right for picture in pictures], axis=1)[:, order]
    wrong = np.concatenate([picture.wrong for picture in pictures], axis=1)[:, order]
    for t in range(len(THRESHOLDS)):
        hits, misses = right[t].cumsum().astype(float), wrong[t].cumsum().astype(float)
        recalls = hits / count
        best = np.maximum.accumulate((hits / (hits + misses + EPS))[::-1])[::-1]
        places = np.searchsorted(recalls, RECALLS, side="left")
        precision[t] = np.append(best, 0.0)[places]
        recall[t] = recalls[-1] if recalls.size else 0.0


def _stats(precision: ndarray, recall: ndarray) -> Mapping[str, float | None]:
    stats: dict[str, float | None] = {}
    for name, values in (("AP", precision), ("AR", recall)):
        parts = {
            name: values[..., 0],
            f"{name}50": values[0, ..., 0],
            f"{name}75": values[5, ..., 0],
            f"{name} medium": values[..., 1],
            f"{name} large": values[..., 2],
        }
        for key, part in parts.items():
            known = part[part > -1]
            stats[key] = float(known.mean()) if known.size else None
    return stats
