"""Overlapping scenes: the scenes with whole things as labels, what is hidden of them too."""

import functools
from typing import ClassVar

import torch

from pixelwise.data.classes import Classes
from pixelwise.data.drawn import SPLITS, parse_options
from pixelwise.data.labels_survey import LabelsSurvey, survey_labels
from pixelwise.data.landscape import draw_layers
from pixelwise.data.scenes import CLASSES as SCENES
from pixelwise.data.scenes import SceneOptions
from pixelwise.data.source import LabelledPictures, Progress, Sample, Source

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

# As with scenes, keep what is drawn in one epoch.
_drawn = functools.lru_cache(maxsize=1024)(draw_layers)


class OverlappingPictures(LabelledPictures):
    """One split of the overlapping scenes; item i is a pure function of (seed, split, i, size).

    Masks are (7, h, w): a road goes on below its cars, a building's ground below a tree.
    """

    def __init__(self, options: SceneOptions, split: str) -> None:
        self.count = options.count(split)
        super().__init__(CLASSES, 3, 255.0, f"{split!r} of overlapping-scenes")
        self.options = options
        self.split_number = SPLITS.index(split)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        picture, extents = _drawn(self.options.seed, self.split_number, index, self.options.size)
        name = f"overlapping scene {SPLITS[self.split_number]} {index}"
        image = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        return Sample(image, torch.from_numpy(extents).long(), name)

    def check(self, progress: Progress | None = None) -> LabelsSurvey:
        """Draw everything once and tell what is there."""
        return survey_labels(self, progress)


class OverlappingScenes(Source):
    """The procedural data set of labels that overlap."""

    kind: ClassVar[str] = "labels"

    def __init__(self, options: SceneOptions | None = None) -> None:
        super().__init__("overlapping-scenes", CLASSES, 3, 255.0)
        self.options = options or SceneOptions()

    @classmethod
    def parse(cls, spec: str) -> "OverlappingScenes":
        """From "overlapping-scenes" or "overlapping-scenes:seed=1,size=128,train=400,val=80".

        Raises:
            InputError: An unknown option or a value that is no whole number in range.
        """
        return cls(SceneOptions(**parse_options(spec)))

    @property
    def contents(self) -> str:
        """How many labels."""
        return f"{len(CLASSES)} labels that may overlap"

    @property
    def splits(self) -> tuple[str, ...]:
        """All three."""
        return SPLITS

    def split(self, name: str) -> OverlappingPictures:
        """The pictures of "train", "val" or "test".

        Raises:
            InputError: Any other name.
        """
        return OverlappingPictures(self.options, name)
