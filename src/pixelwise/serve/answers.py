"""What the page is told of a picture and of a pixel, by the network's task."""

from typing import Any

import numpy as np
import torch
from numpy import ndarray

from pixelwise.errors import InputError
from pixelwise.serve.seeing import Seen, timed_look
from pixelwise.tasks.class_masks import ClassMasks
from pixelwise.tasks.keypoints.task import Keypoints
from pixelwise.tasks.multilabel.task import Multilabel
from pixelwise.tasks.regression.task import Regression

Answer = dict[str, Any]


def none_of(count: int) -> int:
    """What stands in masks of `count` classes where there is no data, or nothing is said."""
    return 255 if count <= 255 else 65535


def answer(seen: Seen) -> Answer:
    """The whole picture: a mask, labels, points or values."""
    told: Answer = {"mask": None, "labels": None, "points": None, "values": None}
    task, logits = seen.model.task, seen.logits
    found = task.answer(logits[None])[0]
    missing = None if seen.missing is None else seen.missing.numpy()
    if isinstance(task, ClassMasks):
        none = none_of(task.count)
        mask = found.numpy().astype(np.uint8 if none == 255 else np.uint16)
        if missing is not None:
            mask[missing] = none
        told["mask"] = mask
    elif isinstance(task, Multilabel):
        labels = task.labels(found).astype(np.uint8)
        if missing is not None:
            labels[:, missing] = 0
        told["labels"] = list(labels)
    elif isinstance(task, Keypoints):
        told["points"] = [_point(*one) for one in found.tolist()]
    elif isinstance(task, Regression):
        values = found.float().numpy().copy()
        if missing is not None:
            values[:, missing] = np.nan
        told["values"] = list(values)
    return told


def _point(x: float, y: float, score: float) -> dict[str, float | None]:
    """A place whose whole numbers are the centres of pixels, or none."""
    if not (np.isfinite(x) and np.isfinite(y)):
        return {"row": None, "column": None, "confidence": 0.0}
    return {"row": y - 0.5, "column": x - 0.5, "confidence": score if np.isfinite(score) else 0.0}


def pixel(seen: Seen, at: tuple[int, int]) -> Answer:
    """One pixel: what is predicted there, and where every layer looks from there.

    Raises:
        InputError: It lies outside of the picture.
    """
    (row, column), (height, width) = at, seen.size
    if not (0 <= row < height and 0 <= column < width):
        raise InputError(
            f"row={row}, column={column}: the picture has rows 0..{height - 1} and columns"
            f" 0..{width - 1}; choose a pixel inside"
        )
    layers, milliseconds = timed_look(seen, at)
    told: Answer = {
        "row": row,
        "column": column,
        "classIndex": None,
        "probabilities": [],
        "values": None,
        "milliseconds": round(milliseconds, 2),
        "layers": layers,
    }
    if seen.missing is not None and seen.missing[at]:
        return told
    task = seen.model.task
    if isinstance(task, ClassMasks | Multilabel):
        logits = seen.logits[:, row : row + 1, column : column + 1]
        shares = task.shares(logits)[1].flatten().tolist()
        told["probabilities"] = [share if share == share else 0.0 for share in shares]
        if isinstance(task, ClassMasks):
            told["classIndex"] = int(task.answer(logits[None]))
    elif isinstance(task, Regression):
        logits = seen.logits[:, row : row + 1, column : column + 1]
        values = task.answer(logits[None]).flatten().tolist()
        told["values"] = [value if np.isfinite(value) else None for value in values]
    return told


def class_map(seen: Seen, number: int) -> ndarray:
    """How probable a class is at every pixel, as bytes; of a point, its heat map up to its peak.

    Raises:
        InputError: There is no such class, or outputs are numbers.
    """
    task = seen.model.task
    if isinstance(task, Regression):
        raise InputError("k: values have no probabilities; look at the values themselves")
    if isinstance(task, Keypoints):
        count = seen.model.config.num_classes
        _check_class(number, count)
        evidence = task.evidence(seen.logits[None])[0, number]
        heat = task.confidence(evidence.reshape(1, -1)).reshape(1, 1, *evidence.shape)
        shares = torch.nn.functional.interpolate(heat, seen.size, mode="bilinear")[0, 0]
        shares = shares / shares.max().clamp(min=1e-12)
    else:
        names, each = task.shares(seen.logits)
        _check_class(number, len(names))
        shares = each[number]
    found: ndarray = (shares.nan_to_num() * 255).round().clamp(0, 255).byte().numpy().copy()
    if seen.missing is not None:
        found[seen.missing.numpy()] = 0
    return found


def _check_class(number: int, count: int) -> None:
    if not 0 <= number < count:
        raise InputError(f"k={number}: must be from 0 to {count - 1}; take one of them")
