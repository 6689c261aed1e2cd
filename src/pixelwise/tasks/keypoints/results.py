"""How far predicted points are from their labels, over a whole data set."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.errors import InputError
from pixelwise.tasks.base import Result, Scorer
from pixelwise.tasks.keypoints.crops import PointTarget
from pixelwise.tasks.keypoints.measures import point_measures
from pixelwise.tasks.keypoints.oks import oks
from pixelwise.tasks.keypoints.scores import (
    PixelErrors,
    named_length,
    pck,
    pixel_errors,
    share_within,
)
from pixelwise.tasks.keypoints.scores import distances as distances_of
from pixelwise.tasks.measures import Measures

WITHIN = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50)
"""Pixels of the curve."""
NO_BOX = np.zeros((1, 4))
"""Figures without a label, for which boxes are, do not count here."""


class PointResult(Result):
    """Distances of predicted points from their labels.

    Args:
        distance: Pixels of the pictures, (figures, points); NaN without a label, infinite where
            nothing was predicted.
        extent: Of each figure's box, pixels: what a point that was not found counts as.
        skeleton: Names of the points.
        relative: Share of points near in units of a named length, all and per point, by name.
        similarity: Mean object keypoint similarity; None where sigmas or areas are not known.
        confused: Labels of points with a partner that are nearer to the partner's prediction.
    """

    title = "mean error, px"

    def __init__(
        self,
        distance: np.ndarray,
        extent: np.ndarray,
        skeleton: Skeleton,
        relative: Mapping[str, Sequence[float | None]],
        similarity: float | None,
        confused: int,
    ) -> None:
        self.distance, self.extent, self.skeleton = distance, extent, skeleton
        self.relative, self.similarity, self.confused = relative, similarity, confused
        self.overall = pixel_errors(distance)
        if not self.overall.labelled:
            raise InputError("no point was counted; give figures with labelled points")
        self.each = [pixel_errors(distance[:, i]) for i in range(len(skeleton))]

    @property
    def best(self) -> float:
        """Minus the mean error, where a point that was not found is a box away."""
        capped = np.where(np.isinf(self.distance), self.extent[:, None], self.distance)
        return -float(np.nanmean(capped))

    def line(self) -> str:
        """Mean and median, and the share within five pixels."""
        (near,) = share_within(self.distance, [5])
        assert near is not None
        return (
            f"mean error {_pixels(self.overall.mean)}  median {_pixels(self.overall.median)}"
            f"  within 5 px {100 * near:.1f} %"
        )

    def numbers(self) -> Mapping[str, float | int | None]:
        """Errors of all points and of each, and the curve."""
        found = self.overall
        shares = share_within(self.distance, WITHIN)
        return {
            "mean_error": -self.best,
            "mean": found.mean,
            "median": found.median,
            "rmse": found.rmse,
            "missed": found.missed,
            "swapped": self.confused,
            **{f"within_{t}": share for t, share in zip(WITHIN, shares, strict=True)},
            **{name: values[0] for name, values in self.relative.items()},
            "oks": self.similarity,
            **{f"mean_{n}": e.mean for n, e in zip(self.skeleton.names, self.each, strict=True)},
        }

    def measures(self) -> Measures:
        """Errors per point and of all, and how many have left and right confused."""
        return point_measures(self.distance, self.skeleton, mean=-self.best, confused=self.confused)

    def table(self) -> str:
        """Errors per point in pixels of the pictures."""
        width = max(5, *(len(name) for name in self.skeleton.names))
        lines = [f"{'point':{width}}  {'mean px':>8}  {'median':>8}  {'RMSE':>8}  labels  missed"]
        rows = [*zip(self.skeleton.names, self.each, strict=True), ("all", self.overall)]
        lines += [f"{name:{width}}  {_row(found)}" for name, found in rows]
        shares = share_within(self.distance, WITHIN)
        lines.append(
            "within  "
            + "  ".join(
                f"{t} px {100 * (s or 0):.0f} %" for t, s in zip(WITHIN, shares, strict=True)
            )
        )
        for name, values in self.relative.items():
            shown = "unknown" if values[0] is None else f"{100 * values[0]:.1f} %"
            lines.append(f"{name}  {shown}")
        if self.skeleton.pairs:
            lines.append(f"nearer to the other side's prediction: {self.confused} labels")
        if self.similarity is not None:
            lines.append(f"object keypoint similarity, mean  {self.similarity:.4f}")
        return "\n".join(lines)

    def files(self) -> Mapping[str, bytes]:
        """The table, and how the errors are spread."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["point", "labels", "missed", "mean_px", "median_px", "rmse_px"])
        for name, e in [*zip(self.skeleton.names, self.each, strict=True), ("all", self.overall)]:
            writer.writerow([name, e.labelled, e.missed, e.mean, e.median, e.rmse])
        return {
            "points.csv": text.getvalue().encode(),
            "errors.png": pictures.error_curves(self.distance, self.skeleton.names),
        }

    def warning(self) -> str | None:
        """A line where points are not found at all."""
        if self.overall.missed * 2 <= self.overall.labelled:
            return None
        return (
            f"{self.overall.missed} of {self.overall.labelled} labelled points of val have no peak,"
            " so the network has hardly learnt anything; try more steps, or a lower --lr"
        )


class PointScorer(Scorer):
    """Gathers predicted and labelled points in pixels of the pictures.

    Args:
        skeleton: Names, pairs and sigmas.
        length: [first, second, alpha] of PCK; None: not told.
    """

    def __init__(self, skeleton: Skeleton, length: Sequence[Any] | None) -> None:
        self.skeleton, self.length = skeleton, length
        self._found: list[tuple[np.ndarray, PointTarget]] = []

    def update(self, answer: Tensor, target: Tensor) -> None:
        """One figure: points (k, 3) in pixels of the crop, and its packed target."""
        truth = PointTarget.read(target)
        self._found.append((truth.in_picture(answer), truth))

    def result(self) -> PointResult:
        """All distances."""
        if not self._found:
            raise InputError("no figure was counted; give pictures with labelled points")
        predicted = np.stack([points for points, _ in self._found])
        truth = np.stack([target.points.numpy() for _, target in self._found])
        labelled = np.stack([target.labelled for _, target in self._found])
        extent = np.array([math.hypot(*target.box) for _, target in self._found])
        distance = distances_of(predicted, truth, labelled)
        relative = {}
        if self.length is not None:
            first, second, alpha = self.length
            lengths = named_length(truth, self.skeleton, first, second)
            relative[f"PCK@{alpha:g} of {first} to {second}"] = pck(distance, lengths, alpha)
        return PointResult(
            distance,
            extent,
            self.skeleton,
            relative,
            self._similarity(predicted, truth, labelled),
            self._confused(predicted, truth, distance),
        )

    def _similarity(
        self, predicted: np.ndarray, truth: np.ndarray, labelled: np.ndarray
    ) -> float | None:
        areas = np.array([target.area for _, target in self._found])
        if self.skeleton.sigmas is None or not np.isfinite(areas).all():
            return None
        each = [
            oks(p[None] - 0.5, t[None] - 0.5, k[None], NO_BOX, a[None], self.skeleton.sigmas)[0, 0]
            for p, t, k, a in zip(predicted, truth, labelled, areas, strict=True)
            if k.any()
        ]
        return float(np.mean(each)) if each else None

    def _confused(self, predicted: np.ndarray, truth: np.ndarray, distance: np.ndarray) -> int:
        """Labels whose partner's prediction is nearer, and not far."""
        partners = np.array(self.skeleton.mirrored())
        other = np.linalg.norm(predicted[:, partners] - truth, axis=-1)
        paired = partners != np.arange(len(partners))
        return int((paired & (other < distance)).sum())


def _pixels(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} px"


def _row(found: PixelErrors) -> str:
    numbers = (found.mean, found.median, found.rmse)
    shown = "  ".join(f"{'none':>8}" if n is None else f"{n:8.2f}" for n in numbers)
    return f"{shown}  {found.labelled:>6}  {found.missed:>6}"
