"""Intersection over union and accuracy of a whole data set, from one confusion matrix.

With M[t, p] the number of counted pixels of true class t that are predicted as p,

    IoU_c = M[c, c] / (sum_p M[c, p] + sum_t M[t, c] - M[c, c])
    mIoU  = mean of IoU_c over the classes that occur in the truth
    accuracy = sum_c M[c, c] / sum M
    precision_c = M[c, c] / sum_t M[t, c],  recall_c = M[c, c] / sum_p M[c, p]
    F1_c = 2 M[c, c] / (sum_p M[c, p] + sum_t M[t, c])
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from pixelwise.checks import at_least
from pixelwise.errors import InputError


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says.

    Args:
        iou: Per class, 0..1; None for a class that no true pixel has ("absent" is not 0).
        miou: Mean over the classes that are not absent.
        accuracy: Share of counted pixels that are right.
        pixels: Counted true pixels per class.
    """

    iou: tuple[float | None, ...]
    miou: float
    accuracy: float
    pixels: tuple[int, ...]


@dataclass(frozen=True)
class Rates:
    """What else it says of each class, 0..1.

    Args:
        precision: None where the class is never predicted.
        recall: None where no true pixel has it.
        f1: Likewise.
    """

    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]


class Confusion:
    """Counts of (true class, predicted class) over all pixels but the ignored ones.

    Args:
        num_classes: Classes k.
        ignore_index: Mask value of pixels that do not count.

    `matrix` is (k, k), int64, on the CPU; rows are the truth. Parts counted apart add up with +.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        at_least(1, num_classes=num_classes)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.matrix: Int64[Tensor, "k k"] = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, prediction: Int64[Tensor, "*n h w"], mask: Int64[Tensor, "*n h w"]) -> None:
        """Count the pixels of a picture (h, w) or of a batch (n, h, w).

        Raises:
            InputError: A class outside 0..k-1 in the prediction or in the counted mask.
        """
        k = self.num_classes
        counted = mask != self.ignore_index
        # One bin further takes what is ignored: cheaper than picking out the rest.
        pair = torch.where(counted, mask * k + prediction, k * k)
        outside = (prediction < 0) | (prediction >= k) | (counted & ((mask < 0) | (mask >= k)))
        if outside.any():
            raise InputError(
                f"num_classes={k}: the prediction has {prediction.min()}..{prediction.max()}, the "
                f"mask {mask.min()}..{mask.max()} (ignored: {self.ignore_index}); both must be "
                f"0..{k - 1}"
            )
        counts = torch.bincount(pair.flatten(), minlength=k * k + 1)
        self.matrix += counts[:-1].view(k, k).cpu()

    def __add__(self, other: "Confusion") -> "Confusion":
        """The counts of both.

        Raises:
            InputError: The other counts other classes.
        """
        mine, theirs = ((c.num_classes, c.ignore_index) for c in (self, other))
        if mine != theirs:
            raise InputError(
                f"(num_classes, ignore_index)={theirs}: must be {mine} to add up; count alike"
            )
        total = Confusion(*mine)
        total.matrix = self.matrix + other.matrix
        return total

    def scores(self) -> Scores:
        """IoU per class, their mean, and the accuracy.

        Raises:
            InputError: No pixel was counted.
        """
        truth, predicted = self.matrix.sum(dim=1).tolist(), self.matrix.sum(dim=0).tolist()
        right = self.matrix.diagonal().tolist()
        if sum(truth) == 0:
            raise InputError("no pixel was counted; give a mask that is not ignored throughout")
        iou = tuple(
            r / (t + p - r) if t else None for r, t, p in zip(right, truth, predicted, strict=True)
        )
        present = [value for value in iou if value is not None]
        return Scores(
            iou=iou,
            miou=sum(present) / len(present),
            accuracy=sum(right) / sum(truth),
            pixels=tuple(truth),
        )

    def rates(self) -> Rates:
        """Precision, recall and F1 per class."""
        truth, predicted = self.matrix.sum(dim=1).tolist(), self.matrix.sum(dim=0).tolist()
        each = list(zip(self.matrix.diagonal().tolist(), truth, predicted, strict=True))
        return Rates(
            precision=tuple(r / p if p else None for r, _, p in each),
            recall=tuple(r / t if t else None for r, t, _ in each),
            f1=tuple(2 * r / (t + p) if t else None for r, t, p in each),
        )
