"""Object keypoint similarity: how near points are, measured by how well people place them.

With the distances d_k of one prediction from one label, the area A of the labelled thing, and the
spread sigma_k of repeated labels as a share of sqrt(A),

    OKS = mean over labelled k of exp(-d_k^2 / (2 (2 sigma_k)^2 (A + eps)))

Where no point is labelled, d_k is the distance from the box grown by its size on every side, and
all points count.

Source: https://cocodataset.org/#keypoints-eval. Reference: pycocotools 2.0.11,
pycocotools/cocoeval.py (Simplified BSD).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from pixelwise.errors import InputError

EPS = float(np.spacing(1))


def needed_sigmas(sigmas: Sequence[float] | None, count: int) -> Float64[ndarray, " k"]:
    """The sigmas as an array.

    Raises:
        InputError: There are none, or they are not one number above 0 per point.
    """
    if sigmas is None:
        raise InputError(
            "sigmas=None: OKS and AP have no meaning without the spread of repeated labels; give"
            " `sigmas:` with one per point, or `repeated:` with labels by another person"
        )
    spread = np.asarray(sigmas, dtype=np.float64)
    if spread.shape != (count,) or not (np.isfinite(spread) & (spread > 0)).all():
        raise InputError(
            f"sigmas={list(sigmas)}: must be {count} numbers above 0; give one per point"
        )
    return spread


def oks(
    predicted: Float[ndarray, "d k 2"],
    truth: Float[ndarray, "g k 2"],
    labelled: Bool[ndarray, "g k"],
    boxes: Float[ndarray, "g 4"],
    areas: Float[ndarray, " g"],
    sigmas: Sequence[float] | None,
) -> Float64[ndarray, "d g"]:
    """The similarity of every prediction with every label.

    Args:
        predicted: (x, y) in the pixels of a COCO file: whole numbers at pixel centres.
        truth: Likewise; where nothing is labelled, anything.
        labelled: Which points are.
        boxes: (left, top, width, height) of the labelled things.
        areas: Of the labelled things, in square pixels.
        sigmas: One per point.

    Raises:
        InputError: No sigmas, or bad ones.
    """
    spread = needed_sigmas(sigmas, truth.shape[1])
    points = predicted.astype(np.float64)[:, None]
    low = boxes[:, :2].astype(np.float64) - boxes[:, 2:]
    high = boxes[:, :2].astype(np.float64) + 2 * boxes[:, 2:]
    outside = np.maximum(0, low[:, None] - points) + np.maximum(0, points - high[:, None])
    any_labelled: ndarray = np.any(labelled, axis=1)
    known = np.where(labelled[..., None], truth, 0).astype(np.float64)
    away = np.where(any_labelled[:, None, None], points - known, outside)
    squares = (away**2).sum(axis=-1)
    near = np.exp(-squares / (2 * spread) ** 2 / (areas.astype(np.float64)[:, None] + EPS) / 2)
    near = np.where(np.isnan(near), 0, near)  # no prediction
    counted = labelled | ~any_labelled[:, None]
    return (near * counted).sum(axis=-1) / counted.sum(axis=-1)
