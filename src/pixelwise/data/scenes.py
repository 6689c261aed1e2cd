"""Scenes: a data set without files, drawn from a seed (see landscape.py for what they show)."""

import functools
from dataclasses import dataclass

import torch
from numpy import ndarray
from torch import Tensor

from pixelwise.data.classes import Classes
from pixelwise.data.drawn import DrawnOptions
from pixelwise.data.drawn_pictures import KEPT, DrawnPictures, DrawnSource
from pixelwise.data.landscape import draw

CLASSES = Classes(
    names=("ground", "building", "road", "tree", "water", "car", "boat"),
    palette=(
        (238, 223, 190),
        (213, 94, 0),
        (70, 70, 80),
        (0, 158, 115),
        (86, 180, 233),
        (240, 228, 66),
        (204, 121, 167),
    ),
)


@dataclass(frozen=True)
class SceneOptions(DrawnOptions):
    """What the spec "scenes:..." may state; see `DrawnOptions`."""

    size: int = 128


class ScenePictures(DrawnPictures):
    """One split of the scenes."""

    of = "scenes"
    noun = "scene"
    known = CLASSES
    drawn = staticmethod(functools.lru_cache(maxsize=KEPT)(draw))

    def _mask(self, target: ndarray) -> Tensor:
        return torch.from_numpy(target).long()


class Scenes(DrawnSource):
    """The procedural data set."""

    pictures = ScenePictures
    stated = SceneOptions
