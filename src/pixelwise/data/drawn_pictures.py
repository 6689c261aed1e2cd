"""What drawn data sets with masks have in common: pictures by number, and sources by a spec."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from numpy import ndarray
from torch import Tensor

from pixelwise.data.classes import Classes
from pixelwise.data.drawn import SPLITS, DrawnOptions, parse_options
from pixelwise.data.source import LabelledPictures, Sample, Source

KEPT = 1024
"""Drawing costs as much as a small network's step: so many pictures, an epoch's, are kept."""


class DrawnPictures(LabelledPictures):
    """One split; item i is a pure function of (seed, split, i, size).

    Class attributes: `of` is what the data set is called, `noun` a picture of it, `known` what its
    masks mean, and `drawn` draws: (seed, split, index, size) -> (picture (h, w, 3), what the mask
    is made of).
    """

    of: ClassVar[str]
    noun: ClassVar[str]
    known: ClassVar[Classes]
    drawn: ClassVar[Callable[..., tuple[ndarray, ndarray]]]

    def __init__(self, options: DrawnOptions, split: str) -> None:
        self.count = options.count(split)
        super().__init__(self.known, 3, 255.0, f"{split!r} of {self.of}")
        self.options = options
        self.split_number = SPLITS.index(split)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        options, number = self.options, self.split_number
        picture, target = self.drawn(options.seed, number, index, options.size)
        image = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        return Sample(image, self._mask(target), f"{self.noun} {SPLITS[number]} {index}")

    @abstractmethod
    def _mask(self, target: ndarray) -> Tensor:
        """As `Sample` has it; what is drawn stays as it is."""


class DrawnSource(Source):
    """A drawn data set with masks.

    Class attributes: `pictures` are those of a split, `stated` what a spec may state.
    """

    pictures: ClassVar[type[DrawnPictures]]
    stated: ClassVar[type[DrawnOptions]] = DrawnOptions

    def __init__(self, options: DrawnOptions | None = None) -> None:
        super().__init__(self.pictures.of, self.pictures.known, 3, 255.0)
        self.options = options or self.stated()

    @classmethod
    def parse(cls, spec: str) -> "DrawnSource":
        """From "scenes", or "scenes:seed=1,size=128,train=400,val=80,test=80".

        Raises:
            InputError: An unknown option or a value that is no whole number in range.
        """
        return cls(cls.stated(**parse_options(spec)))

    @property
    def splits(self) -> tuple[str, ...]:
        """All three."""
        return SPLITS

    def split(self, name: str) -> DrawnPictures:
        """The pictures of "train", "val" or "test".

        Raises:
            InputError: Any other name.
        """
        return self.pictures(self.options, name)
