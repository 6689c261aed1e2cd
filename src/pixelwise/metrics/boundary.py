"""Scores that look at borders, and scores that forgive small shifts.

A pixel lies on the border of its class where a pixel beside it (of 8) is known to be of another
class. A pixel is found where one of the same kind lies within the tolerance, in pixels between
centres, in the other mask. Per class, summed over all pictures:

    precision = found predicted pixels / predicted    recall = found true pixels / true
    F = 2 precision recall / (precision + recall)

"boundary F" is that of pixels on the border, "tolerant F1" that of all pixels of the class, which
suits cracks, roads and vessels. "Boundary IoU" is the IoU of the pixels of a class that lie within
d of a pixel of another class or of the picture's edge, along rows, columns or diagonals alike, with
d = 2 % of the picture's diagonal.

Ignored pixels count for nothing, and a border to them is none.

Sources:
    boundary F: Csurka et al., "What is a good evaluation measure for semantic segmentation?", 2013,
    https://doi.org/10.5244/C.27.32.
    tolerant F1: Mnih and Hinton, "Learning to Detect Roads in High-Resolution Aerial Images", 2010,
    https://doi.org/10.1007/978-3-642-15567-3_16 ("relaxed" precision and recall).
    boundary IoU: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation
    Evaluation", 2021, https://arxiv.org/abs/2103.16562.
"""

import torch
from jaxtyping import Int64
from torch import Tensor

from pixelwise.checks import at_least, in_range
from pixelwise.errors import InputError
from pixelwise.metrics.neighbours import beside_others, rim, within

SHARE = 0.02
"""Of a picture's diagonal: how wide the border of boundary IoU is."""
LARGEST = 50


class BoundaryCounts:
    """Counts per class over pictures.

    Args:
        num_classes: Classes k.
        tolerance: Pixels.
        ignore_index: Mask value of pixels that do not count.

    `borders` and `pixels` are (4, k), int64: predicted pixels that are found, all predicted ones,
    and the same of true ones.
    `bands` is (3, k): pixels of both masks in the band of boundary IoU, of the truth, of the
    prediction.
    """

    def __init__(self, num_classes: int, tolerance: int, ignore_index: int = 255) -> None:
        at_least(1, num_classes=num_classes)
        in_range(0, LARGEST, tolerance=tolerance)
        self.num_classes, self.tolerance = num_classes, tolerance
        self.ignore_index = ignore_index
        self.borders = torch.zeros(4, num_classes, dtype=torch.int64)
        self.pixels = torch.zeros(4, num_classes, dtype=torch.int64)
        self.bands = torch.zeros(3, num_classes, dtype=torch.int64)

    def update(self, prediction: Int64[Tensor, "h w"], mask: Int64[Tensor, "h w"]) -> None:
        """Count one picture."""
        counted = mask != self.ignore_index
        everywhere = torch.ones_like(counted)
        edges = beside_others(mask, counted, 1), beside_others(prediction, everywhere, 1)
        seen = torch.cat([mask[counted], prediction[counted]])
        for c in torch.bincount(seen).nonzero().flatten().tolist():
            true, predicted = (mask == c) & counted, prediction == c
            self.pixels[:, c] += self._found(predicted, true, counted)
            self.borders[:, c] += self._found(predicted & edges[1], true & edges[0], counted)
        width = max(1, round(SHARE * (mask.shape[0] ** 2 + mask.shape[1] ** 2) ** 0.5))
        edge = rim(mask.shape[0], mask.shape[1], width)
        true_band = counted & (beside_others(mask, counted, width) | edge)
        band = counted & (beside_others(prediction, everywhere, width) | edge)
        for row, (where, labels) in enumerate(
            ((true_band & band & (mask == prediction), mask), (true_band, mask), (band, prediction))
        ):
            self.bands[row] += torch.bincount(labels[where], minlength=self.num_classes).cpu()

    def _found(self, predicted: Tensor, true: Tensor, counted: Tensor) -> Tensor:
        near_true, near_predicted = (within(one, self.tolerance) for one in (true, predicted))
        predicted, true = predicted & counted, true & counted
        parts = (predicted & near_true, predicted, true & near_predicted, true)
        return torch.stack([part.sum() for part in parts]).cpu()

    def __add__(self, other: "BoundaryCounts") -> "BoundaryCounts":
        """The counts of both.

        Raises:
            InputError: The other counts otherwise.
        """
        mine, theirs = ((c.num_classes, c.tolerance, c.ignore_index) for c in (self, other))
        if mine != theirs:
            raise InputError(
                f"(num_classes, tolerance, ignore_index)={theirs}: must be {mine} to add up; count"
                " alike"
            )
        total = BoundaryCounts(*mine)
        for name in ("borders", "pixels", "bands"):
            setattr(total, name, getattr(self, name) + getattr(other, name))
        return total

    def boundary_f(self) -> tuple[float | None, ...]:
        """Per class; None where the truth has no border of it."""
        return _f(self.borders)

    def tolerant_f1(self) -> tuple[float | None, ...]:
        """Per class; None where no true pixel has it."""
        return _f(self.pixels)

    def boundary_iou(self) -> tuple[float | None, ...]:
        """Per class; None where no true pixel has it in the band."""
        return tuple(b / (t + p - b) if t else None for b, t, p in self.bands.T.tolist())


def _f(counts: Tensor) -> tuple[float | None, ...]:
    found: list[float | None] = []
    for near_predicted, predicted, near_true, true in counts.T.tolist():
        if not true:
            found.append(None)
            continue
        precision, recall = near_predicted / predicted if predicted else 0.0, near_true / true
        both = precision + recall
        found.append(2 * precision * recall / both if both else 0.0)
    return tuple(found)
