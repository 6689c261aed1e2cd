"""A data set with points on disk: splits of figures in their pictures."""

import zlib
from collections.abc import Mapping

import numpy as np
import torch

from pixelwise.data.alike import kind_of, read_alike
from pixelwise.data.points.config import PointsConfig
from pixelwise.data.points.figure import MISSING, Figure
from pixelwise.data.points.placing import place_figures
from pixelwise.data.points.source import LabelledFigures, PointSample, PointSource
from pixelwise.data.reading import read_header
from pixelwise.data.stamp import stamp
from pixelwise.errors import InputError, unknown
from pixelwise.language import joined, message

MARGIN = 0.5  # pixels: labels on the very edge, counted from the pixel's corner or its centre


class FolderFigures(LabelledFigures):
    """The figures of one split that have points; their pictures are read on demand.

    Args:
        config: What to read of the pictures.
        figures: Those without any labelled point are left out, and counted by `check`.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        name: For messages, for example "train of my/data.yaml".
    """

    apart = True

    def __init__(
        self, config: PointsConfig, figures: list[Figure], bands: int, scale: float, name: str
    ) -> None:
        self.figures = [figure for figure in figures if figure.labelled.any()]
        boxed = any(figure.box is not None for figure in self.figures)
        super().__init__(config.skeleton, bands, scale, name, boxed=boxed)
        self.dropped = len(figures) - len(self.figures)
        self._config = config

    def __len__(self) -> int:
        return len(self.figures)

    def __getitem__(self, index: int) -> PointSample:
        """The picture and the points of a figure; points outside it do not count.

        Raises:
            InputError: A missing or damaged picture, or a box outside it.
        """
        figure, config = self.figures[index], self._config
        read = read_alike(figure.file, config, self.bands, self.scale)
        height, width = read.values.shape[1:]
        self._check_box(figure, height, width)
        points, visible = figure.points.copy(), figure.visible.copy()
        edge = np.array((width, height)) + MARGIN
        away = figure.labelled & ((points < -MARGIN) | (points > edge)).any(axis=1)
        points[away], visible[away] = np.nan, MISSING
        return PointSample(
            read.values,
            torch.from_numpy(points),
            torch.from_numpy(visible),
            torch.tensor(figure.box or (0, 0, width, height), dtype=torch.float64),
            str(figure.file),
            figure.area,
            read.missing,
            read.dtype,
            tuple(
                f"{self.skeleton.names[i]!r} at ({figure.points[i, 0]:g}, {figure.points[i, 1]:g})"
                for i in np.flatnonzero(away)
            ),
        )

    def origin(self, index: int) -> str | None:
        """The files of a sample, and how they are read."""
        figure = self.figures[index]
        content = figure.points.tobytes(), figure.visible.tobytes(), figure.box, figure.area
        read = self._config.bands, self._config.nodata, self.bands, self.scale
        return stamp((figure.file,), "points", *content, self.skeleton.names, *read)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture, from its header."""
        header = read_header(self.figures[index].file, self._config.max_megapixels)
        return header.height, header.width

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Picture -> its size in bytes, and a check sum of its figures."""
        sums: dict[str, int] = {}
        for figure in self.figures:
            content = figure.points.tobytes() + figure.visible.tobytes() + repr(figure.box).encode()
            sums[str(figure.file)] = zlib.crc32(content, sums.get(str(figure.file), 0))
        sizes = {str(f): f.stat().st_size for f in dict.fromkeys(f.file for f in self.figures)}
        return {name: (sizes[name], number) for name, number in sums.items()}

    def _check_box(self, figure: Figure, height: int, width: int) -> None:
        if figure.box is not None:
            left, top, wide, high = figure.box
            if left >= width or top >= height or left + wide <= 0 or top + high <= 0:
                raise InputError(
                    f"{self.name}: box ({left:g}, {top:g}, {wide:g}, {high:g}) lies outside"
                    f" {figure.file} of {width} x {height} pixels (as it is shown, after its EXIF"
                    " rotation, if any); correct it"
                )


class FolderPoints(PointSource):
    """A data set with points on disk; its labels, and its pictures' kind, are read at once."""

    def __init__(self, config: PointsConfig) -> None:
        self.config = config
        placed = place_figures(config)
        self._figures, self._told = placed.splits, placed.told
        first = next(iter(self._figures.values()))
        pictures = list(dict.fromkeys(figure.file for figure in first))
        bands, scale = kind_of(pictures, config)
        super().__init__(
            config.path.resolve().name
            if config.file.is_dir()
            else config.file.absolute().parent.name,
            config.skeleton,
            bands,
            scale,
            config.bands,
            config.nodata,
        )

    @property
    def contents(self) -> str:
        """The points, how pictures were shared out, and where sigmas come from."""
        told = filter(None, (super().contents, self._told, self.config.estimated))
        return joined(message("; "), told)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that exist, of train, val and test."""
        return tuple(self._figures)

    def split(self, name: str) -> FolderFigures:  # points, not masks
        """The figures of "train", "val" or "test".

        Raises:
            InputError: The data set has no such split.
        """
        if name not in self._figures:
            raise unknown("split", name, self.splits)
        told = f"{name!r} of {self.config.file}"
        return FolderFigures(self.config, self._figures[name], self.bands, self.scale, told)
