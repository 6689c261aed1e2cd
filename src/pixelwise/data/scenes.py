"""Scenes: a data set without files, drawn from a seed (see landscape.py for what they show)."""

import functools
from dataclasses import dataclass

import torch

from pixelwise.data.classes import Classes
from pixelwise.data.drawn import SPLITS, DrawnOptions, parse_options
from pixelwise.data.landscape import draw
from pixelwise.data.source import LabelledPictures, Sample, Source

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


# Drawing a scene costs as much as a small network's step on it: keep what is drawn in one epoch.
_drawn = functools.lru_cache(maxsize=1024)(draw)


class ScenePictures(LabelledPictures):
    """One split of the scenes; item i is a pure function of (seed, split, i, size)."""

    def __init__(self, options: SceneOptions, split: str) -> None:
        self.count = options.count(split)
        super().__init__(CLASSES, 3, 255.0, f"{split!r} of scenes")
        self.options = options
        self.split_number = SPLITS.index(split)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        picture, mask = _drawn(self.options.seed, self.split_number, index, self.options.size)
        name = f"scene {SPLITS[self.split_number]} {index}"
        image = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        return Sample(image, torch.from_numpy(mask).long(), name)


class Scenes(Source):
    """The procedural data set."""

    def __init__(self, options: SceneOptions | None = None) -> None:
        super().__init__("scenes", CLASSES, 3, 255.0)
        self.options = options or SceneOptions()

    @classmethod
    def parse(cls, spec: str) -> "Scenes":
        """From "scenes" or "scenes:seed=1,size=128,train=400,val=80,test=80".

        Raises:
            InputError: An unknown option or a value that is no whole number in range.
        """
        return cls(SceneOptions(**parse_options(spec)))

    @property
    def splits(self) -> tuple[str, ...]:
        """All three."""
        return SPLITS

    def split(self, name: str) -> ScenePictures:
        """The pictures of "train", "val" or "test".

        Raises:
            InputError: Any other name.
        """
        return ScenePictures(self.options, name)
