"""A data set with points: splits of figures in their pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.data.decoded import WHITES
from pixelwise.data.points.config import PointsConfig
from pixelwise.data.points.figure import HIDDEN, SEEN, Figure
from pixelwise.data.points.placing import place_figures
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.points.survey import PointSurvey
from pixelwise.data.reading import Picture, RawImage, read_header, read_picture
from pixelwise.data.source import Progress
from pixelwise.data.survey import ValuesRead
from pixelwise.errors import InputError, unknown

PROBED = 16  # pictures whose headers tell how many bands the data set has
MARGIN = 0.5  # pixels: labels on the very edge, counted from the pixel's corner or its centre


@dataclass(frozen=True)
class PointSample:
    """A picture and a figure in it.

    Args:
        image: Raw values.
        points: (x, y) per point, the centre of the first pixel at (0.5, 0.5); NaN where missing.
        visible: 0 missing, 1 hidden, 2 seen.
        box: left, top, width, height of the figure; the whole picture where none is told.
        name: A file name for messages.
        missing: Pixels without data; None: there is none.
        dtype: The type of the values in the file; empty: that of `image`.
    """

    image: RawImage
    points: Float64[Tensor, "k 2"]
    visible: UInt8[Tensor, " k"]
    box: Float64[Tensor, "4"]
    name: str
    missing: Bool[Tensor, "h w"] | None = None
    dtype: str = ""

    @property
    def picture(self) -> Picture:
        """The sample without its points."""
        dtype = self.dtype or str(self.image.dtype).removeprefix("torch.")
        return Picture(self.image, self.missing, dtype)


class LabelledFigures(Dataset[PointSample]):
    """The figures of one split that have points; their pictures are read on demand.

    Args:
        config: What to read of the pictures.
        figures: Those without any labelled point are left out, and counted by `check`.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        name: For messages, for example "train of my/data.yaml".
    """

    def __init__(
        self, config: PointsConfig, figures: list[Figure], bands: int, scale: float, name: str
    ) -> None:
        self.skeleton: Skeleton = config.skeleton
        self.bands, self.scale, self.name = bands, scale, name
        self.figures = [figure for figure in figures if figure.labelled.any()]
        self._dropped = len(figures) - len(self.figures)
        self._config = config

    def __len__(self) -> int:
        return len(self.figures)

    def __getitem__(self, index: int) -> PointSample:
        """The picture and the points of a figure.

        Raises:
            InputError: A missing or damaged picture, or points or a box outside it.
        """
        figure, config = self.figures[index], self._config
        read = read_picture(
            figure.file,
            config.bands,
            self.bands,
            nodata=config.nodata,
            max_megapixels=config.max_megapixels,
        )
        if config.scale is None and WHITES.get(read.dtype, 1.0) != self.scale:
            raise InputError(
                f"{figure.file}: holds {read.dtype}, but other pictures of {config.file} do not;"
                " convert it, or state `scale:` (white)"
            )
        height, width = read.values.shape[1:]
        self._check_inside(figure, height, width)
        return PointSample(
            read.values,
            torch.from_numpy(figure.points.copy()),
            torch.from_numpy(figure.visible.copy()),
            torch.tensor(figure.box or (0, 0, width, height), dtype=torch.float64),
            str(figure.file),
            read.missing,
            read.dtype,
        )

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture, from its header."""
        header = read_header(self.figures[index].file, self._config.max_megapixels)
        return header.height, header.width

    def check(self, progress: Progress | None = None) -> PointSurvey:
        """Read everything once and tell what is there.

        Args:
            progress: Called with (figures done, figures in all) after each.

        Raises:
            InputError: What reading a figure raises, or values that are rather "no data".
        """
        read = ValuesRead()
        for i in range(len(self)):
            sample = self[i]
            read.add(sample.picture, sample.name)
            if progress is not None:
                progress(i + 1, len(self))
        visible = np.stack([figure.visible for figure in self.figures])
        return PointSurvey(
            figures=len(self),
            pictures=len({figure.file for figure in self.figures}),
            dropped=self._dropped,
            seen=tuple((visible == SEEN).sum(0).tolist()),
            hidden=tuple((visible == HIDDEN).sum(0).tolist()),
            missing=read.missing,
            pictures_missing=read.pictures_missing,
            empty=tuple(read.empty),
            dtype=read.dtype,
            values=read.values,
            doubts=read.doubts(self.scale),
        )

    def _check_inside(self, figure: Figure, height: int, width: int) -> None:
        size = f"{figure.file} of {width} x {height} pixels (after its EXIF rotation, if any)"
        for name, (x, y) in zip(self.skeleton.names, figure.points.tolist(), strict=True):
            if x < -MARGIN or y < -MARGIN or x > width + MARGIN or y > height + MARGIN:
                raise InputError(
                    f"{self.name}: point {name!r} lies at ({x:g}, {y:g}), outside {size}; correct"
                    " it, or label the picture as it is shown"
                )
        if figure.box is not None:
            left, top, wide, high = figure.box
            if left >= width or top >= height or left + wide <= 0 or top + high <= 0:
                raise InputError(
                    f"{self.name}: box ({left:g}, {top:g}, {wide:g}, {high:g}) lies outside {size};"
                    " correct it"
                )


class PointSource:
    """A data set with points on disk; its labels, and its pictures' kind, are read at once.

    Attributes:
        name: For headings and run names.
        skeleton: The points.
        bands: Bands of every picture: the input channels of a network.
        scale: The raw value that means 1.0.
        band_numbers: Which bands of the picture files are read, counted from 0; None: all.
        nodata: Values that mean "no data", beside those that the files name.
    """

    def __init__(self, config: PointsConfig) -> None:
        self.config = config
        self._figures = place_figures(config)
        first = next(iter(self._figures.values()))
        pictures = list(dict.fromkeys(figure.file for figure in first))
        headers = [
            read_header(picture, config.max_megapixels)
            for picture in pictures[:: max(1, len(pictures) // PROBED)]
        ]
        most = max(headers, key=lambda header: header.bands)
        self.name = config.file.absolute().parent.name
        self.skeleton = config.skeleton
        self.bands = most.bands if config.bands is None else len(config.bands)
        self.scale = most.scale if config.scale is None else config.scale
        self.band_numbers = config.bands
        self.nodata = config.nodata

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that exist, of train, val and test."""
        return tuple(self._figures)

    def split(self, name: str) -> LabelledFigures:
        """The figures of "train", "val" or "test".

        Raises:
            InputError: The data set has no such split.
        """
        if name not in self._figures:
            raise unknown("split", name, self.splits)
        told = f"{name!r} of {self.config.file}"
        return LabelledFigures(self.config, self._figures[name], self.bands, self.scale, told)
