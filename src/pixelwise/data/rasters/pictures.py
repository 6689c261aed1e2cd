"""A data set of rasters: its pictures are tiles of them."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch

from pixelwise.data.config import SPLITS
from pixelwise.data.decoded import WHITES
from pixelwise.data.labels_survey import LabelsSurvey, survey_labels
from pixelwise.data.rasters.areas import Window
from pixelwise.data.rasters.config import RastersConfig
from pixelwise.data.rasters.labelled import LabelledRaster
from pixelwise.data.rasters.opened import Opened
from pixelwise.data.rasters.splits import windows_of
from pixelwise.data.source import LabelledPictures, Progress, Sample, Source
from pixelwise.data.stamp import stamp
from pixelwise.data.survey import Survey, survey
from pixelwise.data.values_survey import ValuesSurvey, survey_values
from pixelwise.errors import InputError, unknown
from pixelwise.language import mark, message, said

PART = 2**22
"""Bytes that are read at once for a check sum."""

UNLUCKY = "look at `map:` and `area:`, or share out otherwise, e.g. split: {val: 0.2, seed: 1}"


class RasterPictures(LabelledPictures):
    """The tiles of one split.

    Args:
        config: What labels mean.
        rasters: All of them.
        windows: Of the split: the number of a raster, and pixels of it.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        name: For messages.
        notes: Lines about what was left out.
    """

    def __init__(
        self,
        config: RastersConfig,
        rasters: tuple[LabelledRaster, ...],
        windows: tuple[tuple[int, Window], ...],
        bands: int,
        scale: float,
        name: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(config.classes, bands, scale, name)
        self.config, self.rasters, self.windows, self.notes = config, rasters, windows, notes

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Sample:
        number, window = self.windows[index]
        raster = self.rasters[number]
        read = raster.picture(window)
        target = torch.from_numpy(raster.target(window, self.outside))
        if read.missing is not None:
            target[..., read.missing] = self.outside
        return Sample(read.values, target, self.name_of(index), read.missing, read.dtype)

    def name_of(self, index: int) -> str:
        """ortho[512,1024].tif: a raster, and the first row and column of its tile."""
        number, window = self.windows[index]
        image = self.rasters[number].entry.image
        return str(image.with_name(f"{image.stem}[{window.top},{window.left}]{image.suffix}"))

    @property
    def outside(self) -> int | float:
        """What stands in a mask where nothing is known."""
        return float("nan") if self.config.quantities else self.classes.ignore_index

    def origin(self, index: int) -> str | None:
        """The files of a sample, its window, and how they are read."""
        number, window = self.windows[index]
        raster = self.rasters[number]
        files = (*raster.files, *raster.label_files)
        read = tuple(window), raster.entry, self.bands, self.scale
        return stamp(files, "rasters", self.meaning, *read)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a tile."""
        window = self.windows[index][1]
        return window.height, window.width

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Raster -> its size in bytes, and a check sum of its labels."""
        found = {}
        for number, raster in enumerate(self.rasters):
            if all(i != number for i, _ in self.windows):
                continue
            image, labels = raster.entry.image, 0
            for file in raster.label_files:
                labels = _check_sum(file, labels)
            size = sum(part.stat().st_size for part in raster.files)
            root = self.config.file.parent
            name = image.relative_to(root) if image.is_relative_to(root) else image
            found[str(name)] = (size, labels)
        return found

    @property
    def meaning(self) -> str:
        """How labels are read, what lies outside of them, and how the rasters are shared out."""
        config = self.config
        told = [(e.field, e.value, e.layer, e.split) for e in config.entries]
        shared = f"{config.shares} by {config.by}, gap {config.gap}, tile {config.tile}"
        return (
            f"{config.values.values} {config.values.colours} {dict(config.words)}"
            f" {config.background} {config.quantities} {config.values_nodata} {config.overlapping}"
            f" {told} {config.bands} {config.nodata} {self.outside} {shared}"
        )

    def check(
        self, progress: Progress | None = None, *, workers: int = 0
    ) -> Survey | LabelsSurvey | ValuesSurvey:
        """Read everything once and tell what is there.

        Raises:
            InputError: See `LabelledPictures.check`.
        """
        if self.config.quantities:
            return survey_values(self, self.config.quantities, progress, workers)
        if self.config.overlapping is not None:
            return survey_labels(self, progress, self.notes, workers)
        return replace(survey(self, progress, UNLUCKY, workers), notes=self.notes)


class RastersSource(Source):
    """A data set of rasters; their headers, and features, are read at once."""

    def __init__(self, config: RastersConfig) -> None:
        self.config = config
        opened = Opened()
        self.rasters = tuple(LabelledRaster(config, entry, opened) for entry in config.entries)
        most = max(self.rasters, key=lambda raster: raster.bands)
        scale = WHITES.get(most.dtype, 1.0) if config.scale is None else config.scale
        for raster in self.rasters:
            if config.scale is None and WHITES.get(raster.dtype, 1.0) != scale:
                raise InputError(
                    f"{raster.entry.image}: holds {raster.dtype}, but {most.entry.image} holds"
                    f" {most.dtype}; convert it, or state `scale:` (white)"
                )
            raster.channels = most.bands
            raster.picture(Window(0, 0, 1, 1))
        self._windows, self._notes = windows_of(config, self.rasters)
        name = config.file.absolute().parent.name
        super().__init__(name, config.classes, most.bands, scale, config.bands, config.nodata)

    @property
    def contents(self) -> str:
        """What the labels hold."""
        config, count = self.config, len(self.rasters)
        told = said(
            f"tiles of {count} raster{'s' * (count > 1)}",
            mark("tiles of {count} rasters"),
            count=count,
        )
        if config.quantities:
            named = [f"{q.name} in {q.unit}" if q.unit else q.name for q in config.quantities]
            return message("{told}, values of {named}", told=told, named=", ".join(named))
        if config.overlapping is not None:
            ignored = config.classes.ignore_index
            return message(
                "{told}, {count} labels that may overlap, ignore {ignored}",
                told=told,
                count=len(config.classes),
                ignored=ignored,
            )
        return message("{told}, {contents}", told=told, contents=super().contents)

    @property
    def units(self) -> Mapping[str, str]:
        """Quantity -> its unit, empty where there is none."""
        return {quantity.name: quantity.unit for quantity in self.config.quantities}

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have tiles."""
        return tuple(self._windows)

    def split(self, name: str) -> RasterPictures:
        """The tiles of "train", "val" or "test"."""
        if name not in self._windows:
            if name not in SPLITS:
                raise unknown("split", name, SPLITS)
            raise InputError(
                f"{self.config.file}: has no {name!r} split; give it a share in `split:`, or a"
                f" raster, with `split: {name}`"
            )
        notes = self._notes if name == next(iter(self._windows)) else ()
        return RasterPictures(
            self.config,
            self.rasters,
            self._windows[name],
            self.bands,
            self.scale,
            f"{name!r} of {self.config.file}",
            notes,
        )


class RasterValuesSource(RastersSource):
    """Rasters whose labels are numbers."""

    kind: ClassVar[str] = "values"


class RasterLabelsSource(RastersSource):
    """Rasters whose labels overlap."""

    kind: ClassVar[str] = "labels"


def open_rasters(config: RastersConfig) -> RastersSource:
    """The data set, of the kind that its labels are.

    Raises:
        InputError: A file is damaged or does not fit the others, or a split has no tile.
    """
    if config.quantities:
        return RasterValuesSource(config)
    return RastersSource(config) if config.overlapping is None else RasterLabelsSource(config)


def _check_sum(file: Path, total: int) -> int:
    with file.open("rb") as content:
        while part := content.read(PART):
            total = zlib.crc32(part, total)
    return total
