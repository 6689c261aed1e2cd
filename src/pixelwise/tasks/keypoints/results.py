"""How far predicted points are from their labels, over a whole data set."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pixelwise import pictures
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.errors import InputError
from pixelwise.language import cells, left, mark, message, right, translate
from pixelwise.metrics import Tallies
from pixelwise.tasks.base import Result
from pixelwise.tasks.keypoints.measures import point_measures
from pixelwise.tasks.keypoints.scores import PixelErrors, pixel_errors, share_within
from pixelwise.tasks.keypoints.tallying import NEAR, point_tallies
from pixelwise.tasks.measures import Measures

WORST = 12
"""Figures on the sheet of the worst."""
ERRORS = ["file", "figure", "point", "x", "y", "predicted_x", "predicted_y", "error_px", "score"]
NARROW = 0.1
"""Points that lie so much closer together than their labels do are at one place."""
LEAST_SPREAD = 0.01
"""Of labels, in units of the box, where that says something."""
MANY = 5
"""Figures from which on the same answer for each is no chance."""
Places = Float64[np.ndarray, "..."]
WITHIN = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50)
"""Pixels of the curve."""
STATS = {
    "AP": "ap",
    "AP50": "ap_50",
    "AP75": "ap_75",
    "AP medium": "ap_medium",
    "AP large": "ap_large",
    "AR": "ar",
    "AR50": "ar_50",
    "AR75": "ar_75",
    "AR medium": "ar_medium",
    "AR large": "ar_large",
}
"""What `average_precision` calls them, and `metrics.json`."""


@dataclass(frozen=True)
class Compared:
    """One figure in pixels of its picture.

    Args:
        name: Of the picture.
        figure: Number of the figure in it.
        predicted: Points; NaN where nothing was found.
        scores: Of the points.
        truth: Labels; NaN where there is none.
        box: Left, top, width and height.
    """

    name: str
    figure: int
    predicted: Float64[np.ndarray, "k 2"]
    scores: Float64[np.ndarray, " k"]
    truth: Float64[np.ndarray, "k 2"]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Similarity:
    """Mean object keypoint similarity, and average precision and recall by it."""

    oks: float
    stats: Mapping[str, float | None]
    each: np.ndarray
    """OKS of each figure; NaN where no point is labelled."""


class PointResult(Result):
    """Distances of predicted points from their labels.

    Args:
        items: The figures.
        distance: Pixels of the pictures, (figures, points); NaN without a label, infinite where
            nothing was predicted.
        skeleton: Names of the points.
        relative: Share of points near in units of a named length, all and per point, by name.
        similarity: By the sigmas and areas, or the reason why it is not known.
        confused: Labels of points with a partner that are nearer to the partner's prediction.
        near: By the names of `relative`, 1 for points that are near, 0 for others, NaN for those
            that do not count.
    """

    title = mark("mean error, px")

    def __init__(
        self,
        items: Sequence[Compared],
        distance: np.ndarray,
        skeleton: Skeleton,
        relative: Mapping[str, Sequence[float | None]],
        similarity: Similarity | str,
        confused: int,
        near: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.near = dict(near or {})
        self.items, self.distance, self.skeleton = items, distance, skeleton
        self.relative, self.similarity, self.confused = relative, similarity, confused
        self.overall = pixel_errors(distance)
        if not self.overall.labelled:
            raise InputError("no point was counted; give figures with labelled points")
        self.each = [pixel_errors(distance[:, i]) for i in range(len(skeleton))]

    @property
    def best(self) -> float:
        """Minus the mean error, where a point that was not found is a box away."""
        return -float(np.nanmean(self.capped))

    @property
    def capped(self) -> Float64[np.ndarray, "n k"]:
        """The distances, where a point that was not found is the diagonal of its box away."""
        extent = np.array([math.hypot(*item.box[2:]) for item in self.items])
        return np.where(np.isinf(self.distance), extent[:, None], self.distance)

    def line(self) -> str:
        """Mean and median, and the share within five pixels."""
        (near,) = share_within(self.distance, [5])
        assert near is not None
        return translate("mean error {pixels}  median {pixels2}  within 5 px {near:.1f} %").format(
            pixels=_pixels(self.overall.mean), pixels2=_pixels(self.overall.median), near=100 * near
        )

    def numbers(self) -> Mapping[str, float | int | None]:
        """Errors of all points and of each, and the curve."""
        found = self.overall
        shares = share_within(self.distance, WITHIN)
        similar = None if isinstance(self.similarity, str) else self.similarity
        return {
            "mean_error": -self.best,
            "mean": found.mean,
            "median": found.median,
            "rmse": found.rmse,
            "missed": found.missed,
            "swapped": self.confused,
            **{f"within_{t}": share for t, share in zip(WITHIN, shares, strict=True)},
            **{name: values[0] for name, values in self.relative.items()},
            "oks": similar.oks if similar else None,
            **{key: similar.stats[name] if similar else None for name, key in STATS.items()},
            **{f"mean_{n}": e.mean for n, e in zip(self.skeleton.names, self.each, strict=True)},
        }

    def tallies(self) -> Tallies:
        """Sums of errors, picture by picture."""
        within = np.where(np.isnan(self.distance), np.nan, self.distance <= NEAR)
        return point_tallies(
            [item.name for item in self.items],
            self.capped,
            {f"within_{NEAR}": within, **self.near},
            None if isinstance(self.similarity, str) else self.similarity.each,
            self.skeleton.names,
        )

    def measures(self) -> Measures:
        """Errors per point and of all, and how many have left and right confused."""
        return point_measures(self.distance, self.skeleton, mean=-self.best, confused=self.confused)

    def table(self) -> str:
        """Errors per point in pixels of the pictures."""
        width = max(5, *map(cells, self.skeleton.names))
        columns = {
            mark("mean px"): 8,
            mark("median"): 8,
            "RMSE": 8,
            mark("labels"): 6,
            mark("missed"): 6,
        }
        heads = (right(translate(head), size) for head, size in columns.items())
        lines = ["  ".join([left(translate("point"), width), *heads])]
        rows = [*zip(self.skeleton.names, self.each, strict=True)]
        rows.append((translate("all"), self.overall))
        lines += [f"{left(name, width)}  {_row(found)}" for name, found in rows]
        shares = share_within(self.distance, WITHIN)
        lines.append(
            translate("within  ")
            + "  ".join(
                f"{t} px {100 * (s or 0):.0f} %" for t, s in zip(WITHIN, shares, strict=True)
            )
        )
        for name, values in self.relative.items():
            shown = translate("unknown") if values[0] is None else f"{100 * values[0]:.1f} %"
            lines.append(f"{name}  {shown}")
        if self.skeleton.pairs:
            lines.append(
                translate("nearer to the other side's prediction: {confused} labels").format(
                    confused=self.confused
                )
            )
        if isinstance(self.similarity, str):
            lines.append(
                translate("OKS and AP  not told: {similarity}").format(similarity=self.similarity)
            )
        else:
            stats = self.similarity.stats
            lines.append(
                translate("OKS  mean {oks:.4f}  ").format(oks=self.similarity.oks)
                + "  ".join(
                    f"{name} {_share(stats[name])}" for name in ("AP", "AP50", "AP75", "AR")
                )
            )
        return "\n".join(lines)

    def files(self) -> Mapping[str, bytes]:
        """Tables per point and per figure, and how the errors are spread."""
        names = self.skeleton.names
        head = ["point", "labels", "missed", "mean_px", "median_px", "rmse_px"]
        points = [*zip(names, self.each, strict=True), ("all", self.overall)]
        rows = [[name, e.labelled, e.missed, e.mean, e.median, e.rmse] for name, e in points]
        return {
            "points.csv": _csv([head, *rows]),
            "errors.csv": _csv([ERRORS, *self._errors()]),
            "errors.png": pictures.error_curves(self.distance, names),
            "histogram.png": pictures.error_histograms(self.distance, names),
        }

    def _errors(self) -> Iterator[list[object]]:
        """A row per labelled point of each figure, whole numbers at pixel centres."""
        for item, distance in zip(self.items, self.distance, strict=True):
            for k, name in enumerate(self.skeleton.names):
                if math.isnan(distance[k]):
                    continue
                places = [*item.truth[k], *item.predicted[k]]
                shown = [round(float(v) - 0.5, 4) if math.isfinite(v) else "" for v in places]
                away = round(float(distance[k]), 4) if math.isfinite(distance[k]) else ""
                score = round(float(item.scores[k]), 6)
                yield [item.name, item.figure, name, *shown, away, score]

    def picture_files(self, image: Callable[[int], np.ndarray]) -> Mapping[str, bytes]:
        """A sheet of the figures with the largest mean errors, worst first."""
        each = np.nanmean(self.capped[self._counted], axis=1)
        worst = self._counted[np.argsort(-each, kind="stable")][:WORST]
        tiles = []
        for number in worst.tolist():
            item, away = self.items[number], self.distance[number]
            missed = int(np.isinf(away).sum())
            mean = pixel_errors(away).mean
            farthest = int(np.nanargmax(away))
            about = f"mean {_pixels(mean)}, at most {self.skeleton.names[farthest]} "
            about += "not found" if missed else _pixels(float(away[farthest]))
            title = Path(item.name).name + (f", figure {item.figure}" if item.figure else "")
            tiles.append(
                pictures.point_tile(
                    image(number), item.truth, item.predicted, self.skeleton.edges, (title, about)
                )
            )
        names = self.skeleton.names
        return {"worst.png": pictures.png(pictures.point_sheet(tiles, names))}

    @property
    def _counted(self) -> np.ndarray:
        """Numbers of the figures with a label."""
        return np.flatnonzero(~np.isnan(self.distance).all(axis=1))

    def warning(self) -> str | None:
        """A line where points are not found at all."""
        tries = message("try more steps, or a lower --lr, and look whether pictures and labels fit")
        if self.overall.missed * 2 > self.overall.labelled:
            return message(
                "{missed} of {labelled} labelled points of val have no peak, so the"
                " network has hardly learnt anything; {tries}",
                missed=self.overall.missed,
                labelled=self.overall.labelled,
                tries=tries,
            )
        truth, predicted = self._in_boxes()
        if _narrow(_figure_spread(predicted), _figure_spread(truth)):
            return message(
                "all points of a figure are predicted at nearly the same place; {tries}",
                tries=tries,
            )
        if len(self.items) >= MANY and _narrow(_answer_spread(predicted), _answer_spread(truth)):
            return message(
                "the points are predicted at the same place of each figure; {tries}", tries=tries
            )
        return None

    def _in_boxes(self) -> tuple[Places, Places]:
        """Labels and predictions in units of the figures' boxes; NaN where either is unknown."""
        boxes = np.array([item.box for item in self.items], np.float64)[:, None]
        corner, sides = boxes[..., :2], np.maximum(boxes[..., 2:], 1e-9)
        truth = (np.stack([item.truth for item in self.items]) - corner) / sides
        found = (np.stack([item.predicted for item in self.items]) - corner) / sides
        known = np.isfinite(truth + found)
        return np.where(known, truth, np.nan), np.where(known, found, np.nan)


def _figure_spread(places: Places) -> Places:
    """How far the points of a figure lie from each other, in figures with two or more."""
    able = (np.isfinite(places[..., 0]).sum(1) > 1) if len(places) else np.zeros(0, bool)
    return np.nanstd(places[able], axis=1)


def _answer_spread(places: Places) -> Places:
    """How far a point lies from where it is in other figures, of points with enough of them."""
    able = np.isfinite(places[..., 0]).sum(0) >= MANY
    return np.nanstd(places[:, able], axis=0)


def _narrow(predicted: Places, truth: Places) -> bool:
    """Whether predictions lie much closer together than labels that are apart."""
    if not truth.size:
        return False
    apart = float(np.median(truth))
    return apart > LEAST_SPREAD and float(np.median(predicted)) < NARROW * apart


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _share(value: float | None) -> str:
    return translate("unknown") if value is None else f"{value:.4f}"


def _pixels(value: float | None) -> str:
    return translate("unknown") if value is None else f"{value:.2f} px"


def _row(found: PixelErrors) -> str:
    numbers = (found.mean, found.median, found.rmse)
    shown = "  ".join(right(translate("none"), 8) if n is None else f"{n:8.2f}" for n in numbers)
    return f"{shown}  {found.labelled:>6}  {found.missed:>6}"
