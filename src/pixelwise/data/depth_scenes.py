"""Depth scenes: a data set of values without files, drawn from a seed (see depth_painting.py)."""

import functools
import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from numpy import ndarray
from torch import Tensor

from pixelwise.data.classes import Classes
from pixelwise.data.depth_painting import draw
from pixelwise.data.drawn_pictures import KEPT, DrawnPictures, DrawnSource
from pixelwise.data.quantities import Quantity
from pixelwise.data.source import Progress
from pixelwise.data.values_survey import ValuesSurvey, survey_values

CLASSES = Classes(names=("depth",), palette=((0, 114, 178),))


class DepthPictures(DrawnPictures):
    """One split of the depth scenes.

    Masks are (1, h, w) float32: metres along the camera's axis; NaN in the sky, and where the
    plane is more than 60 m away.
    """

    of = "depth-scenes"
    noun = "depth scene"
    known = CLASSES
    drawn = staticmethod(functools.lru_cache(maxsize=KEPT)(draw))

    @property
    def outside(self) -> float:
        """Not a number: nothing is known there."""
        return math.nan

    def _mask(self, target: ndarray) -> Tensor:
        return torch.from_numpy(target)[None].clone()

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> ValuesSurvey:
        """Draw everything once and tell what is there."""
        return survey_values(self, (Quantity("depth", unit="m"),), progress, workers)


class DepthScenes(DrawnSource):
    """The procedural data set of values."""

    kind: ClassVar[str] = "values"
    pictures = DepthPictures

    @property
    def contents(self) -> str:
        """Depth, and where there is none."""
        return "depth in metres; none in the sky and beyond 60 m"

    @property
    def units(self) -> Mapping[str, str]:
        """Metres."""
        return {"depth": "m"}
