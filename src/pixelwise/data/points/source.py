"""Data sets of pictures with named points."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.data.classes import Classes, default_palette
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.points.survey import PointSurvey, survey_points
from pixelwise.data.reading import Picture, RawImage
from pixelwise.data.source import Progress, Source
from pixelwise.language import message


@dataclass(frozen=True)
class PointSample:
    """A picture and the points of one thing in it.

    Args:
        image: Raw values.
        points: (x, y) per point in pixels; the centre of the first pixel is (0.5, 0.5). NaN where
            a point is missing.
        visible: 0 missing, 1 hidden, 2 seen.
        box: Left, top, width and height of the thing; the whole picture where none is known.
        name: A file name for messages.
        area: Of the thing in square pixels; None: not known.
        missing: Pixels without data; None: there is none.
        dtype: The type of the values in the file; empty: that of `image`.
        outside: Names and places of points outside the picture, which are missing here.
    """

    image: RawImage
    points: Float64[Tensor, "k 2"]
    visible: UInt8[Tensor, " k"]
    box: Float64[Tensor, " 4"]
    name: str
    area: float | None = None
    missing: Bool[Tensor, "h w"] | None = None
    dtype: str = ""
    outside: tuple[str, ...] = ()

    @property
    def picture(self) -> Picture:
        """The sample without its points."""
        return Picture.of(self.image, self.missing, self.dtype)


class LabelledFigures(Dataset[PointSample], ABC):
    """Things with points of one split, read on demand.

    Args:
        skeleton: The points.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        name: For messages.
        boxed: Whether things have boxes of their own.
    """

    apart: ClassVar[bool] = False
    """Whether each picture is read without regard to the others."""

    def __init__(
        self, skeleton: Skeleton, bands: int, scale: float, name: str, *, boxed: bool = False
    ) -> None:
        self.skeleton, self.bands, self.scale, self.name = skeleton, bands, scale, name
        self.boxed = boxed
        self.dropped = 0

    @abstractmethod
    def __len__(self) -> int:
        """How many things."""

    @abstractmethod
    def __getitem__(self, index: int) -> PointSample:
        """A picture and the points of a thing in it.

        Raises:
            InputError: A damaged file, or a box outside the picture; the message names the file.
        """

    @property
    def classes(self) -> Classes:
        """Names and colours of the points."""
        return point_classes(self.skeleton)

    def origin(self, index: int) -> str | None:
        """A text that changes when what a sample holds does; None: nobody can say."""
        return None

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture, without decoding it where that can be."""
        height, width = self[index].image.shape[-2:]
        return height, width

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Picture -> its size in bytes, and a check sum of its points; none without files."""
        return {}

    @property
    def meaning(self) -> str:
        """How values in the files are read, to tell whether that has changed."""
        return f"pairs {self.skeleton.pairs}"

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> PointSurvey:
        """Read everything once and tell what is there.

        Raises:
            InputError: What reading a picture raises, no point anywhere, or too many points
                outside their pictures.
        """
        return survey_points(self, progress, workers)


class PointSource(Source):
    """A data set of pictures with points; see `Source`.

    Args:
        name: For headings and run names.
        skeleton: The points.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        band_numbers: Which bands of the picture files are read; None: all.
        nodata: Values that mean "no data", beside those that the files name.
    """

    kind: ClassVar[str] = "points"

    def __init__(
        self,
        name: str,
        skeleton: Skeleton,
        bands: int,
        scale: float,
        band_numbers: tuple[int, ...] | None = None,
        nodata: tuple[float, ...] = (),
    ) -> None:
        super().__init__(name, point_classes(skeleton), bands, scale, band_numbers, nodata)
        self.skeleton = skeleton

    @property
    def contents(self) -> str:
        """How many points, and which sides a mirror swaps."""
        pairs = [
            f"{self.skeleton.names[left]} and {self.skeleton.names[right]}"
            for left, right in self.skeleton.pairs
        ]
        sides = (
            message("; a mirror swaps {pairs}", pairs=", ".join(pairs))
            if pairs
            else message("; no left and right")
        )
        return message("{skeleton} points{sides}", skeleton=len(self.skeleton), sides=sides)


def point_classes(skeleton: Skeleton) -> Classes:
    """Names and colours of points."""
    return Classes(skeleton.names, default_palette(len(skeleton)))
