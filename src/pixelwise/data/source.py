"""What every data set is: classes, and splits of pictures with masks."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.data.classes import Classes
from pixelwise.data.reading import RawImage
from pixelwise.errors import InputError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sample:
    """A picture with its raw values, its mask of class ids, and a file name for messages."""

    image: RawImage
    mask: Int64[Tensor, "h w"]
    name: str


class LabelledPictures(Dataset[Sample], ABC):
    """Pictures and masks of one split, read on demand.

    Args:
        classes: What the ids in the masks mean.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        name: For messages, for example "train of my/data.yaml".
    """

    def __init__(self, classes: Classes, bands: int, scale: float, name: str) -> None:
        self.classes = classes
        self.bands = bands
        self.scale = scale
        self.name = name

    @abstractmethod
    def __len__(self) -> int:
        """How many pictures."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """The picture and its mask.

        Raises:
            InputError: A damaged file, a mask of another size than its picture, or values in it
                that mean nothing; the message names the file.
        """

    def check(self, progress: Progress | None = None) -> tuple[int, ...]:
        """Read everything once and count the pixels of each class.

        Args:
            progress: Called with (pictures done, pictures in all) after each.

        Raises:
            InputError: What reading a picture raises; values that are not finite; or labels
                that cannot be meant: all pixels that count are of one class while others are
                ignored.
        """
        counts = torch.zeros(len(self.classes), dtype=torch.int64)
        ignored = 0
        for i in range(len(self)):
            sample = self[i]
            if sample.image.is_floating_point() and not sample.image.isfinite().all():
                raise InputError(
                    f"{sample.name}: has values that are not finite; replace them by numbers"
                )
            counted = sample.mask[sample.mask != self.classes.ignore_index]
            counts += torch.bincount(counted, minlength=len(counts))
            ignored += sample.mask.numel() - counted.numel()
            if progress is not None:
                progress(i + 1, len(self))
        present = counts.nonzero().flatten().tolist()
        if ignored and len(present) < 2:
            only = f"of class {self.classes.names[present[0]]!r} or " if present else ""
            raise InputError(
                f"{self.name}: every pixel is {only}ignored (mask value "
                f"{self.classes.ignore_index} unless `map:` says otherwise); if the ignored "
                f"values mean a class, say so, e.g. map: {{0: 0, 255: 1}}"
            )
        return tuple(counts.tolist())


class Source(ABC):
    """A data set: classes, the shape of its pictures, and up to three splits.

    Args:
        name: For headings and run names.
        classes: What the ids in the masks mean.
        bands: Bands of every picture: the input channels of a network.
        scale: The raw value that means 1.0.
        band_numbers: Which bands of the picture files are read, counted from 0; None: all.
    """

    def __init__(
        self,
        name: str,
        classes: Classes,
        bands: int,
        scale: float,
        band_numbers: tuple[int, ...] | None = None,
    ) -> None:
        self.name = name
        self.classes = classes
        self.bands = bands
        self.scale = scale
        self.band_numbers = band_numbers

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The splits that exist, of train, val and test."""

    @abstractmethod
    def split(self, name: str) -> LabelledPictures:
        """The pictures of "train", "val" or "test".

        Raises:
            InputError: The data set has no such split.
        """
