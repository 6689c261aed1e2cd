"""Predicted points of all pictures as files: a plain table, one like DeepLabCut's, and COCO.

The score of a figure in COCO's results is the mean score of the points that were found, times that
of its box, as usual for figures in boxes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pixelwise.data.points.coco import write_coco_images, write_coco_results
from pixelwise.data.points.deeplabcut import write_deeplabcut
from pixelwise.data.points.figure import MISSING, SEEN, Figure
from pixelwise.data.points.plain import write_plain
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.regions import Region, Regions

PLAIN = "points.csv"
LIKE = "points_deeplabcut.csv"
COCO = "keypoints_coco.json"
IMAGES = "keypoints_coco_images.json"


def names_of_files(regions: Regions) -> tuple[str, ...]:
    """What is written; DeepLabCut's table has room for one figure per picture alone."""
    return (PLAIN, COCO, IMAGES) if regions.boxes is not None else (PLAIN, LIKE, COCO, IMAGES)


def write_tables(
    folder: Path, answers: Mapping[Path, Tensor], skeleton: Skeleton, regions: Regions
) -> None:
    """Write all of `names_of_files`.

    Args:
        folder: Where to.
        answers: Per picture (k, 3), or (boxes, k, 3): x, y, score.
        skeleton: Of the points.
        regions: Boxes and numbers of the pictures.
    """
    ids = regions.image_ids or {file: i for i, file in enumerate(answers, start=1)}
    figures: list[Figure] = []
    scores: list[np.ndarray] = []
    totals: list[float] = []
    for file, answer in answers.items():
        inside = (None,) if regions.boxes is None else regions.boxes[file]
        each = answer.reshape(-1, len(skeleton), 3).double().numpy()
        for points, region in zip(each, inside, strict=True):
            figure = _figure(file, points[:, :2], region, ids.get(file))
            figures.append(figure)
            scores.append(points[:, 2])
            totals.append(
                figure_score(points[:, 2], figure.labelled) * (region.score if region else 1.0)
            )
    write_plain(folder / PLAIN, figures, skeleton.names, scores)
    if regions.boxes is None:
        write_deeplabcut(folder / LIKE, figures, skeleton.names, scores)
    order = [skeleton.names.index(name) for name in regions.names or skeleton.names]
    write_coco_results(folder / COCO, figures, totals, regions.category_id, order)
    write_coco_images(
        folder / IMAGES, {f: ids[f] for f in answers if f in ids}, skeleton, regions.category_id
    )


def figure_score(scores: Float[np.ndarray, " k"], found: Sequence[bool] | np.ndarray) -> float:
    """The mean score of the points that were found; 0 without any."""
    known = scores[np.asarray(found)]
    return float(known.mean()) if known.size else 0.0


def _figure(file: Path, points: np.ndarray, region: Region | None, image_id: int | None) -> Figure:
    found = np.isfinite(points).all(axis=1)
    visible = np.where(found, SEEN, MISSING).astype(np.uint8)
    if region is None:
        return Figure(file, points, visible, image_id=image_id)
    return Figure(
        file,
        points,
        visible,
        region.box,
        image_id=image_id,
        figure_id=region.figure,
        category_id=region.category_id,
    )
