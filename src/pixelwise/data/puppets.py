"""Puppets: a data set of named points without files, drawn from a seed (see puppet.py)."""

import functools

import numpy as np
import torch

from pixelwise.data.drawn import SPLITS, DrawnOptions, parse_options
from pixelwise.data.points.source import LabelledFigures, PointSample, PointSource
from pixelwise.data.puppet import SKELETON
from pixelwise.data.puppet_painting import draw

# As with scenes, keep what is drawn in one epoch.
_drawn = functools.lru_cache(maxsize=1024)(draw)


class PuppetFigures(LabelledFigures):
    """One split of the puppets; item i is a pure function of (seed, split, i, size)."""

    def __init__(self, options: DrawnOptions, split: str) -> None:
        self.count = options.count(split)
        super().__init__(SKELETON, 3, 255.0, f"{split!r} of puppets")
        self.options = options
        self.split_number = SPLITS.index(split)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> PointSample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        size = self.options.size
        drawn = _drawn(self.options.seed, self.split_number, index, size)
        points = np.where(drawn.visible[:, None] > 0, drawn.puppet.points, np.nan)
        return PointSample(
            torch.from_numpy(drawn.picture).permute(2, 0, 1).contiguous(),
            torch.from_numpy(points),
            torch.from_numpy(drawn.visible.copy()),
            torch.tensor([0, 0, size, size], dtype=torch.float64),
            f"puppet {SPLITS[self.split_number]} {index}",
            drawn.area,
        )

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns, which all pictures share."""
        return self.options.size, self.options.size


class Puppets(PointSource):
    """The procedural data set of points."""

    def __init__(self, options: DrawnOptions | None = None) -> None:
        super().__init__("puppets", SKELETON, 3, 255.0)
        self.options = options or DrawnOptions()

    @classmethod
    def parse(cls, spec: str) -> "Puppets":
        """From "puppets" or "puppets:seed=1,size=96,train=400,val=80,test=80".

        Raises:
            InputError: An unknown option or a value that is no whole number in range.
        """
        return cls(DrawnOptions(**parse_options(spec)))

    @property
    def splits(self) -> tuple[str, ...]:
        """All three."""
        return SPLITS

    def split(self, name: str) -> PuppetFigures:
        """The figures of "train", "val" or "test".

        Raises:
            InputError: Any other name.
        """
        return PuppetFigures(self.options, name)
