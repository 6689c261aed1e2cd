"""What every data set is: classes, and splits of pictures with masks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Bool, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.data.classes import Classes
from pixelwise.data.fitting import Range
from pixelwise.data.reading import Picture, RawImage
from pixelwise.data.survey import survey
from pixelwise.language import message

Progress = Callable[[int, int], None]


@runtime_checkable
class Pictured(Protocol):
    """What samples with masks and samples with points have in common."""

    @property
    def image(self) -> RawImage:
        """Raw values."""

    @property
    def name(self) -> str:
        """A file name for messages."""

    @property
    def missing(self) -> Bool[Tensor, "h w"] | None:
        """Pixels without data; None: there is none."""

    @property
    def picture(self) -> Picture:
        """The picture alone."""


@dataclass(frozen=True)
class Sample:
    """A picture and what its pixels are.

    Args:
        image: Raw values.
        mask: What its pixels are: class ids (h, w), the ignore index where nothing is known; labels
            (k, h, w), 0 or 1, likewise; or values (k, h, w), NaN where nothing is known.
        name: A file name for messages.
        missing: Pixels without data; None: there is none.
        dtype: The type of the values in the file; empty: that of `image`.
    """

    image: RawImage
    mask: Shaped[Tensor, "*labels h w"]
    name: str
    missing: Bool[Tensor, "h w"] | None = None
    dtype: str = ""

    @property
    def picture(self) -> Picture:
        """The sample without its mask."""
        return Picture.of(self.image, self.missing, self.dtype)


class LabelledPictures(Dataset[Sample], ABC):
    """Pictures and masks of one split, read on demand.

    Args:
        classes: What the ids in the masks mean.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        name: For messages, for example "train of my/data.yaml".
    """

    apart: ClassVar[bool] = False
    """Whether each picture is read without regard to the others."""

    def __init__(self, classes: Classes, bands: int, scale: float, name: str) -> None:
        self.classes = classes
        self.bands = bands
        self.scale = scale
        self.name = name

    @property
    def outside(self) -> int | float:
        """What stands in a mask where nothing is known."""
        return self.classes.ignore_index

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Picture -> its size in bytes, and a check sum of its mask; none without files."""
        return {}

    @property
    def meaning(self) -> str:
        """How values in the files are read, to tell whether that has changed."""
        return ""

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

    def origin(self, index: int) -> str | None:
        """A text that changes when what a sample holds does; None: nobody can say."""
        return None

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture, without decoding it where that can be."""
        height, width = self[index].mask.shape[-2:]
        return height, width

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> "Found":
        """Read everything once and tell what is there.

        Args:
            progress: Called with (pictures done, pictures in all) after each.
            workers: Processes that read where there are many pictures, each of which is read
                `apart` from the others; 0: this one.

        Raises:
            InputError: What reading a picture raises; values that are rather "no data"; or labels
                that cannot be meant: all pixels that count are of one class while others are
                ignored.
        """
        return survey(self, progress, workers=workers)


@runtime_checkable
class Found(Protocol):
    """What reading a split tells."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Pixels or labels per class or point."""

    @property
    def dtype(self) -> str:
        """The type of the values where all pictures have the same, else empty."""

    @property
    def values(self) -> Range | None:
        """Their range."""

    def lines(self, names: tuple[str, ...]) -> list[str]:
        """For people, a line each."""


@runtime_checkable
class Split(Protocol):
    """What splits of pictures with masks have in common with splits of pictures with points."""

    bands: int
    scale: float
    name: str

    @property
    def apart(self) -> bool:
        """Whether each picture is read without regard to the others."""

    @property
    def classes(self) -> Classes:
        """Names and colours."""

    @property
    def meaning(self) -> str:
        """How values in the files are read."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...
    def origin(self, index: int) -> str | None:
        """A text that changes when what a sample holds does; None: nobody can say."""

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture."""

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Picture -> numbers that change when it or its labels do."""

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> Found:
        """Read everything once and tell what is there."""


class Source(ABC):
    """A data set: classes, the shape of its pictures, and up to three splits.

    Args:
        name: For headings and run names.
        classes: What the ids in the masks mean.
        bands: Bands of every picture: the input channels of a network.
        scale: The raw value that means 1.0.
        band_numbers: Which bands of the picture files are read, counted from 0; None: all.
        nodata: Values that mean "no data", beside those that the files name.

    `kind` says what the masks hold: "classes", "labels" (several per pixel), "values" (numbers),
    or "points" where pictures have points instead.
    """

    kind: ClassVar[str] = "classes"

    def __init__(
        self,
        name: str,
        classes: Classes,
        bands: int,
        scale: float,
        band_numbers: tuple[int, ...] | None = None,
        nodata: tuple[float, ...] = (),
    ) -> None:
        self.name = name
        self.classes = classes
        self.bands = bands
        self.scale = scale
        self.band_numbers = band_numbers
        self.nodata = nodata

    @property
    def contents(self) -> str:
        """What the masks hold, in words."""
        return message(
            "{classes} classes, ignore {ignore_index}",
            classes=len(self.classes),
            ignore_index=self.classes.ignore_index,
        )

    @property
    def units(self) -> Mapping[str, str]:
        """Band of values -> its unit, empty where there is none; nothing for other kinds."""
        return {}

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The splits that exist, of train, val and test."""

    @abstractmethod
    def split(self, name: str) -> Split:
        """The pictures of "train", "val" or "test".

        Raises:
            InputError: The data set has no such split.
        """
