"""What is told of points beside the numbers of another network."""

import numpy as np

from pixelwise.data.points.skeleton import Skeleton
from pixelwise.language import mark, message
from pixelwise.tasks.keypoints.scores import Distances, pixel_errors, share_within
from pixelwise.tasks.measures import Measure, Measures

CAPTION = mark(
    "Mean distance from the label in pixels. A label counts as confused where the prediction of "
    "the other side's point is nearer to it."
)


def point_measures(
    distance: Distances, skeleton: Skeleton, *, mean: float, confused: int
) -> Measures:
    """Errors per point and of all, and how many labels have left and right confused.

    Args:
        distance: Of predictions from their labels.
        skeleton: Names and pairs.
        mean: Error of all points.
        confused: Labels that are nearer to the prediction of their partner.
    """
    each = [pixel_errors(distance[:, i]) for i in range(len(skeleton))]
    rows = [
        Measure(name, found.mean, False, str(found.labelled))
        for name, found in zip(skeleton.names, each, strict=True)
    ]
    total = pixel_errors(distance)
    (near,) = share_within(distance, [5])
    labels = str(total.labelled)
    rows += [
        Measure(message("all points: mean"), mean, False, labels),
        Measure(message("all points: median"), total.median, False, labels),
        Measure(message("all points: within 5 px, %"), 100 * (near or 0.0), True, labels),
    ]
    sided = [number for pair in skeleton.pairs for number in pair]
    if count := int((~np.isnan(distance[:, sided])).sum()):
        share = 100 * confused / count
        rows.append(Measure(message("left and right confused, %"), share, False, str(count)))
    return Measures(tuple(rows), message("point"), message("labels"), digits=2, caption=CAPTION)
