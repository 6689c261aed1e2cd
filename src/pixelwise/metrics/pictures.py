"""Counts of each picture, for a table of pictures and for intervals."""

from collections.abc import Mapping

import torch
from jaxtyping import Int64
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.metrics.confusion import Confusion


class PictureCounts:
    """Right, true and predicted pixels of every class in every picture, each picture once.

    `counts` is picture's name -> (3, k), int64.
    """

    def __init__(self, counts: Mapping[str, Int64[Tensor, "3 k"]] | None = None) -> None:
        self.counts = dict(counts or {})

    def add(self, name: str, confusion: Confusion) -> None:
        """Note one picture.

        Raises:
            InputError: It is noted already.
        """
        if name in self.counts:
            raise InputError(f"{name}: a picture counts once; leave it out the second time")
        matrix = confusion.matrix
        self.counts[name] = torch.stack([matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)])

    def __add__(self, other: "PictureCounts") -> "PictureCounts":
        """The pictures of both.

        Raises:
            InputError: Both have one of a name.
        """
        twice = sorted(self.counts.keys() & other.counts.keys())
        if twice:
            raise InputError(f"{twice[0]}: a picture counts once; share the pictures out")
        return PictureCounts({**self.counts, **other.counts})

    def iou(self, name: str) -> list[float | None]:
        """IoU per class; None where the picture has no true pixel of it."""
        return iou_of(self.counts[name])

    def miou(self, name: str) -> float | None:
        """The mean over the classes that the picture has; None where no pixel counts."""
        present = [value for value in self.iou(name) if value is not None]
        return sum(present) / len(present) if present else None

    def accuracy(self, name: str) -> float | None:
        """The share of its pixels that are right."""
        right, truth, _ = self.counts[name].sum(dim=1).tolist()
        return right / truth if truth else None

    def worst_first(self) -> list[str]:
        """Names by mean IoU, then by name; pictures without a pixel that counts come last."""
        scores = {name: self.miou(name) for name in self.counts}
        return sorted(scores, key=lambda name: (2.0 if (m := scores[name]) is None else m, name))


def iou_of(counts: Int64[Tensor, "3 k"]) -> list[float | None]:
    """IoU per class from right, true and predicted pixels; None where there is no true pixel."""
    return [r / (t + p - r) if t else None for r, t, p in counts.T.tolist()]
