"""Gathers predicted figures beside their labels, and compares them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from pixelwise.data.points.skeleton import Skeleton
from pixelwise.errors import InputError
from pixelwise.tasks.base import Scorer, dealt_back
from pixelwise.tasks.keypoints.average_precision import Labels, Predictions, average_precision
from pixelwise.tasks.keypoints.crops import PointTarget
from pixelwise.tasks.keypoints.files import figure_score
from pixelwise.tasks.keypoints.results import Compared, PointResult, Similarity
from pixelwise.tasks.keypoints.scores import distances as distances_of
from pixelwise.tasks.keypoints.scores import named_length, pck


@dataclass(frozen=True)
class _Figure:
    """One predicted figure in pixels of its picture, and its label."""

    name: str
    points: Float64[np.ndarray, "k 2"]
    scores: Float64[np.ndarray, " k"]
    truth: PointTarget


class PointScorer(Scorer):
    """Gathers predicted and labelled points in pixels of the pictures.

    Args:
        skeleton: Names, pairs and sigmas.
        length: [first, second, alpha] of PCK; None: not told.
    """

    def __init__(self, skeleton: Skeleton, length: Sequence[Any] | None) -> None:
        self.skeleton, self.length = skeleton, length
        self._found: list[_Figure] = []
        self._name: str | None = None

    def look(self, name: str, logits: Tensor, target: Tensor) -> None:
        """The picture of the next figure; figures of one name are in one picture."""
        self._name = name

    def update(self, answer: Tensor, target: Tensor) -> None:
        """One figure: points (k, 3) in pixels of the crop, and its packed target."""
        truth = PointTarget.read(target)
        name = f"figure {len(self._found)}" if self._name is None else self._name
        scores = answer[:, 2].double().numpy()
        self._found.append(_Figure(name, truth.in_picture(answer), scores, truth))

    def joined(self, parts: Sequence["PointScorer"]) -> "PointScorer":
        """The figures of all parts, in their order."""
        whole = PointScorer(self.skeleton, self.length)
        whole._found = dealt_back([part._found for part in parts])
        return whole

    def result(self) -> PointResult:
        """All distances, and what follows from them."""
        if not self._found:
            raise InputError("no figure was counted; give pictures with labelled points")
        predicted = np.stack([figure.points for figure in self._found])
        truth = np.stack([figure.truth.points.numpy() for figure in self._found])
        labelled = np.stack([figure.truth.labelled for figure in self._found])
        counted: Counter[str] = Counter()
        items = []
        for figure in self._found:
            items.append(
                Compared(
                    figure.name,
                    counted[figure.name],
                    figure.points,
                    figure.scores,
                    np.where(figure.truth.labelled[:, None], figure.truth.points.numpy(), np.nan),
                    figure.truth.box,
                )
            )
            counted[figure.name] += 1
        distance = distances_of(predicted, truth, labelled)
        return PointResult(
            items,
            distance,
            self.skeleton,
            self._relative(distance, truth),
            self._similarity(predicted, truth, labelled),
            self._confused(predicted, truth, distance),
            self._near(distance, truth),
        )

    def _near(self, distance: np.ndarray, truth: np.ndarray) -> Mapping[str, np.ndarray]:
        """Which points are near in units of the named length."""
        if self.length is None:
            return {}
        first, second, alpha = self.length
        lengths = named_length(truth, self.skeleton, first, second)
        relative = distance / np.where(lengths > 0, lengths, np.nan)[:, None]
        near = np.where(np.isnan(relative), np.nan, relative <= alpha)
        return {f"PCK@{alpha:g} of {first} to {second}": near}

    def _relative(
        self, distance: np.ndarray, truth: np.ndarray
    ) -> Mapping[str, Sequence[float | None]]:
        if self.length is None:
            return {}
        first, second, alpha = self.length
        lengths = named_length(truth, self.skeleton, first, second)
        return {f"PCK@{alpha:g} of {first} to {second}": pck(distance, lengths, alpha)}

    def _similarity(
        self, predicted: np.ndarray, truth: np.ndarray, labelled: np.ndarray
    ) -> Similarity | str:
        """OKS and AP in the pixels of a COCO file, or why there are none."""
        if self.skeleton.sigmas is None:
            return "no `sigmas` are known; give them in data.yaml"
        areas = np.array([figure.truth.area for figure in self._found])
        if without := int((~np.isfinite(areas)).sum()):
            return f"{without} of {len(areas)} figures have no `area`; label them in a COCO file"
        numbers = {figure.name: i for i, figure in enumerate(self._found)}
        image = np.array([numbers[figure.name] for figure in self._found])
        found = np.isfinite(predicted).all(axis=2)
        scores = [
            figure_score(figure.scores, k) for figure, k in zip(self._found, found, strict=True)
        ]
        labels = Labels(
            np.where(labelled[..., None], truth - 0.5, 0.0),
            labelled,
            np.array([figure.truth.box for figure in self._found]),
            areas,
            np.zeros(len(areas), dtype=bool),
            image,
        )
        points = np.where(found[..., None], predicted - 0.5, 0.0)  # as results files have them
        matched = average_precision(
            labels, Predictions(points, np.array(scores), image), self.skeleton.sigmas
        )
        each = np.where(labelled.any(axis=1), matched.oks.diagonal(), np.nan)
        if np.isnan(each).all():
            return "no point is labelled"
        return Similarity(float(each[~np.isnan(each)].mean()), matched.stats, each)

    def _confused(self, predicted: np.ndarray, truth: np.ndarray, distance: np.ndarray) -> int:
        """Labels whose partner's prediction is nearer, and not far."""
        partners = np.array(self.skeleton.mirrored())
        other = np.linalg.norm(predicted[:, partners] - truth, axis=-1)
        paired = partners != np.arange(len(partners))
        return int((paired & (other < distance)).sum())
