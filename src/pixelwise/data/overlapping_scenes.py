"""Overlapping scenes: the scenes with whole things as labels, what is hidden of them too."""

import functools
from typing import ClassVar

import torch
from numpy import ndarray
from torch import Tensor

from pixelwise.data.classes import Classes
from pixelwise.data.drawn_pictures import KEPT, DrawnPictures, DrawnSource
from pixelwise.data.labels_survey import LabelsSurvey, survey_labels
from pixelwise.data.landscape import draw_layers
from pixelwise.data.scenes import CLASSES as SCENES
from pixelwise.data.scenes import SceneOptions
from pixelwise.data.source import Progress

CLASSES = Classes(
    names=(*SCENES.names[1:], "shadow"),
    palette=(
        (213, 94, 0),
        (250, 250, 250),
        (0, 158, 115),
        (86, 180, 233),
        (240, 228, 66),
        (204, 121, 167),
        (120, 60, 160),
    ),
)


class OverlappingPictures(DrawnPictures):
    """One split of the overlapping scenes.

    Masks are (7, h, w): a road goes on below its cars, a building's ground below a tree.
    """

    of = "overlapping-scenes"
    noun = "overlapping scene"
    known = CLASSES
    drawn = staticmethod(functools.lru_cache(maxsize=KEPT)(draw_layers))

    def _mask(self, target: ndarray) -> Tensor:
        return torch.from_numpy(target).long()

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> LabelsSurvey:
        """Draw everything once and tell what is there."""
        return survey_labels(self, progress, workers=workers)


class OverlappingScenes(DrawnSource):
    """The procedural data set of labels that overlap."""

    kind: ClassVar[str] = "labels"
    pictures = OverlappingPictures
    stated = SceneOptions

    @property
    def contents(self) -> str:
        """How many labels."""
        return f"{len(CLASSES)} labels that may overlap"
