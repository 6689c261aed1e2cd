"""Points by heat maps: targets, decoding, geometry, losses and scores.

What stands in `__all__` is for programs of one's own, and for numbers as papers have them.
"""

from pixelwise.tasks.keypoints.average_precision import (
    AveragePrecision,
    Labels,
    Predictions,
    average_precision,
)
from pixelwise.tasks.keypoints.decoding import DECODERS, decode, decode_points
from pixelwise.tasks.keypoints.flipping import flip_average, flip_back
from pixelwise.tasks.keypoints.geometry import crop_matrix, inverse, mirrored_points, transformed
from pixelwise.tasks.keypoints.oks import oks
from pixelwise.tasks.keypoints.published_geometry import (
    in_halves,
    published_matrix,
    published_return,
)
from pixelwise.tasks.keypoints.published_scores import (
    heatmap_accuracy,
    mpii_pckh,
    udp_auc,
    udp_epe,
    udp_pck,
)
from pixelwise.tasks.keypoints.targets import TARGETS, draw_targets
from pixelwise.tasks.keypoints.warping import warp

__all__ = [
    "DECODERS",
    "TARGETS",
    "AveragePrecision",
    "Labels",
    "Predictions",
    "average_precision",
    "crop_matrix",
    "decode",
    "decode_points",
    "draw_targets",
    "flip_average",
    "flip_back",
    "heatmap_accuracy",
    "in_halves",
    "inverse",
    "mirrored_points",
    "mpii_pckh",
    "oks",
    "published_matrix",
    "published_return",
    "transformed",
    "udp_auc",
    "udp_epe",
    "udp_pck",
    "warp",
]
