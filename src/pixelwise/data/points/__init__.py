"""Pictures with named points: what they are, and the files that hold them."""

from pixelwise.data.points.coco import write_coco_results
from pixelwise.data.points.config import PointsConfig
from pixelwise.data.points.deeplabcut import write_deeplabcut
from pixelwise.data.points.figure import HIDDEN, MISSING, SEEN, Figure
from pixelwise.data.points.folder import FolderFigures, FolderPoints
from pixelwise.data.points.labels import PointLabels
from pixelwise.data.points.plain import write_plain
from pixelwise.data.points.reading import read_points
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.points.source import LabelledFigures, PointSample, PointSource

__all__ = [
    "HIDDEN",
    "MISSING",
    "SEEN",
    "Figure",
    "FolderFigures",
    "FolderPoints",
    "LabelledFigures",
    "PointLabels",
    "PointSample",
    "PointSource",
    "PointsConfig",
    "Skeleton",
    "read_points",
    "write_coco_results",
    "write_deeplabcut",
    "write_plain",
]
