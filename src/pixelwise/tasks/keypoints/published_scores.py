"""Scores of published code that count in ways of their own, for comparison with published tables.

    udp_pck           d < t L per point; the mean over points with a label; also the mean over
                      t = 0, 0.05 .. 0.95 with L = 30 (AUC), and the mean distance (EPE)
    heatmap_accuracy  |(x, y) - (x', y')| / ((height, width) / 10) < 1/2 of largest cells: the x is
                      divided by the HEIGHT; true cells with x <= 1 or y <= 1 do not count
    mpii_pckh         d <= t 0.6 |head box diagonal|, t = 1/2, predictions plus 1 as in the labels;
                      left and right together, the mean weighs points by their labels and leaves out
                      numbers 6 and 7 (pelvis, thorax); "Mean@0.1" is t = 0.11

Reference: github.com/HuangJunJie2017/UDP-Pose, mmpose/core/evaluation/top_down_eval.py
(Apache-2.0); github.com/leoxiaobin/deep-high-resolution-net.pytorch, lib/core/evaluate.py (MIT);
github.com/microsoft/human-pose-estimation.pytorch, lib/dataset/mpii.py (MIT).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy import ndarray
from torch import Tensor

from pixelwise.errors import unknown
from pixelwise.tasks.keypoints.peaks import peaks

AUC_LENGTH = 30.0
MPII_GROUPS: Mapping[str, tuple[str, ...]] = {
    "Head": ("head",),
    "Shoulder": ("lsho", "rsho"),
    "Elbow": ("lelb", "relb"),
    "Wrist": ("lwri", "rwri"),
    "Hip": ("lhip", "rhip"),
    "Knee": ("lkne", "rkne"),
    "Ankle": ("lank", "rank"),
}
MPII_LEFT_OUT = (6, 7)


@dataclass(frozen=True, eq=False)
class PublishedPck:
    """Accuracy per point (-1: no label), their mean, and how many points have labels."""

    each: Float64[ndarray, " k"]
    mean: float
    points: int


def udp_pck(
    predicted: Float[ndarray, "n k 2"],
    truth: Float[ndarray, "n k 2"],
    labelled: Bool[ndarray, "n k"],
    lengths: Float[ndarray, "n 2"],
    threshold: float,
) -> PublishedPck:
    """`lengths` are along x and y of each figure."""
    away = predicted.astype(np.float64) - truth
    return _shares(np.linalg.norm(away / lengths[:, None], axis=-1) < threshold, labelled)


def udp_auc(
    predicted: Float[ndarray, "n k 2"],
    truth: Float[ndarray, "n k 2"],
    labelled: Bool[ndarray, "n k"],
    length: float = AUC_LENGTH,
) -> float:
    """The mean accuracy over 20 thresholds."""
    lengths = np.full((len(truth), 2), length)
    steps = [i / 20 for i in range(20)]
    return float(np.mean([udp_pck(predicted, truth, labelled, lengths, t).mean for t in steps]))


def udp_epe(
    predicted: Float[ndarray, "n k 2"],
    truth: Float[ndarray, "n k 2"],
    labelled: Bool[ndarray, "n k"],
) -> float:
    """The mean distance of labelled points; 0 without one."""
    found = np.linalg.norm(predicted.astype(np.float64) - truth, axis=-1)[labelled]
    return float(found.mean()) if found.size else 0.0


def heatmap_accuracy(
    outputs: Float[Tensor, "b k h w"], targets: Float[Tensor, "b k h w"], threshold: float = 0.5
) -> tuple[PublishedPck, Float[Tensor, "b k 2"]]:
    """The accuracy while training, and the largest cell of each map."""
    found, true = (peaks(maps, missing=0)[0].double() for maps in (outputs, targets))
    lengths = torch.tensor(outputs.shape[2:], dtype=torch.float64, device=outputs.device) / 10
    near = torch.linalg.vector_norm((found - true) / lengths, dim=-1) < threshold
    counted = (true > 1).all(dim=-1)
    return _shares(near.cpu().numpy(), counted.cpu().numpy()), found


def mpii_pckh(
    predicted: Float[ndarray, "n k 2"],
    truth: Float[ndarray, "n k 2"],
    labelled: Bool[ndarray, "n k"],
    head_boxes: Float[ndarray, "n 2 2"],
    names: Sequence[str],
) -> Mapping[str, float]:
    """Per cent, by the names of the table; NaN for points without labels.

    Args:
        predicted: Pixels, the first has number 0.
        truth: Pixels, the first has number 1.
        labelled: Which points are.
        head_boxes: Two corners.
        names: Of the points, as in MPII: "rank", "rkne", ...

    Raises:
        InputError: A point of the table is not among the names.
    """
    for name in (name for group in MPII_GROUPS.values() for name in group):
        if name not in names:
            raise unknown("point", name, names, "of MPII")
    away = np.linalg.norm(predicted.astype(np.float64) + 1 - truth, axis=-1)
    corners = head_boxes.astype(np.float64)
    sizes = 0.6 * np.linalg.norm(corners[:, 1] - corners[:, 0], axis=-1)
    relative = away / sizes[:, None]
    labels = labelled.sum(axis=0)

    def percent(threshold: float) -> ndarray:
        right = ((relative <= threshold) & labelled).sum(axis=0)
        return 100 * np.divide(right, labels, out=np.full(len(labels), np.nan), where=labels > 0)

    each, fine = percent(0.5), percent(0.11)
    kept = [i for i in range(len(names)) if i not in MPII_LEFT_OUT]
    weights = labels[kept] / labels[kept].sum()
    values = {
        group: float(np.mean([each[names.index(name)] for name in parts]))
        for group, parts in MPII_GROUPS.items()
    }
    means = {"Mean": np.nansum(each[kept] * weights), "Mean@0.1": np.nansum(fine[kept] * weights)}
    return values | {name: float(value) for name, value in means.items()}


def _shares(near: ndarray, counted: ndarray) -> PublishedPck:
    labels = counted.sum(axis=0)
    right = (near & counted).sum(axis=0)
    each = np.divide(right, labels, out=np.full(len(labels), -1.0), where=labels > 0)
    known = each[each >= 0]
    return PublishedPck(each, float(known.mean()) if known.size else 0.0, len(known))
