"""Depth scenes: a data set of values without files, drawn from a seed (see depth_painting.py)."""

import functools
import math
from collections.abc import Mapping
from typing import ClassVar

import torch

from pixelwise.data.classes import Classes
from pixelwise.data.depth_painting import draw
from pixelwise.data.drawn import SPLITS, DrawnOptions, parse_options
from pixelwise.data.quantities import Quantity
from pixelwise.data.source import LabelledPictures, Progress, Sample, Source
from pixelwise.data.values_survey import ValuesSurvey, survey_values

CLASSES = Classes(names=("depth",), palette=((0, 114, 178),))

# As with scenes, keep what is drawn in one epoch.
_drawn = functools.lru_cache(maxsize=1024)(draw)


class DepthPictures(LabelledPictures):
    """One split of the depth scenes; item i is a pure function of (seed, split, i, size).

    Masks are (1, h, w) float32: metres along the camera's axis; NaN in the sky, and where the
    plane is more than 60 m away.
    """

    def __init__(self, options: DrawnOptions, split: str) -> None:
        self.count = options.count(split)
        super().__init__(CLASSES, 3, 255.0, f"{split!r} of depth-scenes")
        self.options = options
        self.split_number = SPLITS.index(split)

    @property
    def outside(self) -> float:
        """Not a number: nothing is known there."""
        return math.nan

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        picture, depth = _drawn(self.options.seed, self.split_number, index, self.options.size)
        name = f"depth scene {SPLITS[self.split_number]} {index}"
        image = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        return Sample(image, torch.from_numpy(depth)[None].clone(), name)

    def check(self, progress: Progress | None = None) -> ValuesSurvey:
        """Draw everything once and tell what is there."""
        return survey_values(self, (Quantity("depth", unit="m"),), progress)


class DepthScenes(Source):
    """The procedural data set of values."""

    kind: ClassVar[str] = "values"

    def __init__(self, options: DrawnOptions | None = None) -> None:
        super().__init__("depth-scenes", CLASSES, 3, 255.0)
        self.options = options or DrawnOptions()

    @classmethod
    def parse(cls, spec: str) -> "DepthScenes":
        """From "depth-scenes" or "depth-scenes:seed=1,size=96,train=400,val=80,test=80".

        Raises:
            InputError: An unknown option or a value that is no whole number in range.
        """
        return cls(DrawnOptions(**parse_options(spec)))

    @property
    def contents(self) -> str:
        """Depth, and where there is none."""
        return "depth in metres; none in the sky and beyond 60 m"

    @property
    def units(self) -> Mapping[str, str]:
        """Metres."""
        return {"depth": "m"}

    @property
    def splits(self) -> tuple[str, ...]:
        """All three."""
        return SPLITS

    def split(self, name: str) -> DepthPictures:
        """The pictures of "train", "val" or "test".

        Raises:
            InputError: Any other name.
        """
        return DepthPictures(self.options, name)
