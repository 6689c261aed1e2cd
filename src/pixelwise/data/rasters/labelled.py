"""One raster with its labels, cut into tiles."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.label_masks import LabelReader
from pixelwise.data.rasters.areas import Tile, Window, tiles
from pixelwise.data.rasters.config import BACKGROUND, Entry, RastersConfig, is_features
from pixelwise.data.rasters.features import Burner, Features, read_features
from pixelwise.data.rasters.files import limited_cache
from pixelwise.data.rasters.grid import Grid
from pixelwise.data.rasters.label_raster import LabelRaster
from pixelwise.data.rasters.meaning import (
    Burnt,
    ClassRaster,
    Labels,
    Measured,
    NumberRaster,
    OneLabelRaster,
    OverlappingRaster,
    Stacked,
    classes_of,
    numbers_of,
)
from pixelwise.data.rasters.opened import Opened
from pixelwise.data.rasters.source import RasterSource
from pixelwise.data.reading import Picture
from pixelwise.errors import InputError


class LabelledRaster:
    """A raster and its labels; files are looked at here, and opened again where they are read.

    Args:
        config: What the labels mean.
        entry: The files.
        opened: What is open.

    Raises:
        InputError: A file is damaged, has no place, or its labels mean nothing.
    """

    def __init__(self, config: RastersConfig, entry: Entry, opened: Opened) -> None:
        self.config, self.entry, self.opened = config, entry, opened
        self.channels: int | None = None
        with limited_cache():
            source = self._open()
            self.grid = Grid.of(entry.image, source.file)
            first = source.read(0, 0, 1, 1)
            self._holed = source.may_lack_data
            self.files = _parts(entry.image, source.file.files)
            source.file.close()
        self.bands, self.dtype = len(first.values), first.dtype
        self._asked = not entry.features or entry.area is not None
        self.notes: list[str] = []
        self._area = self._read_area()
        self._seen: list[Burner] = []
        self.labels = self._labels()

    @property
    def label_files(self) -> tuple[Path, ...]:
        """All files of which the labels come."""
        named = [file for _, file in self.entry.labels]
        named += [self.entry.area] if self.entry.area is not None else []
        return tuple(part for file in named for part in _beside(file))

    def tiles(self) -> list[Tile]:
        """The tiles in which something is known."""
        found = tiles(self.grid.height, self.grid.width, self.config.tile)
        known = [self._area] if self._area is not None else self._seen
        if known:
            found = [t for t in found if any(burner.meets(t.window) for burner in known)]
        return [tile for tile in found if not self._unknown(tile.window)]

    def _unknown(self, window: Window) -> bool:
        """Whether no pixel of a tile has both data and a label; most tiles show it by one pixel."""
        top, left, height, width = window
        middle = Window(top + height // 2, left + width // 2, 1, 1)
        return self._blank(middle) and self._blank(window)

    def _blank(self, window: Window) -> bool:
        outside = math.nan if self.config.quantities else self.config.classes.ignore_index
        missing = self.picture(window).missing if self._holed else None
        gone = np.zeros((window.height, window.width), np.bool_)
        if missing is not None:
            gone |= missing.numpy()
        if not gone.all() and self._asked:
            target = self.target(window, outside)
            unknown = np.isnan(target) if target.dtype.kind == "f" else target == outside
            gone |= unknown.reshape(-1, *gone.shape).all(axis=0)
        return bool(gone.all())

    def picture(self, window: Window) -> Picture:
        """The raw values of a window."""
        with limited_cache():
            source = self.opened.get(self.entry.image, self._open)
            found = source.read(*window)
        assert isinstance(found, Picture)
        return found

    def target(self, window: Window, outside: int | float) -> NDArray[Any]:
        """What the pixels of a window are, `outside` where nothing is known."""
        found = self.labels.read(window)
        if self._area is not None:
            known = np.zeros((window.height, window.width), np.int64)
            self._area.burn(known, window)
            found[..., known == 0] = outside
        return found

    def _open(self) -> RasterSource:
        config = self.config
        return RasterSource(
            self.entry.image,
            config.bands,
            self.channels,
            nodata=config.nodata,
            remedy="replace the file",
        )

    def _read_area(self) -> Burner | None:
        area = self.entry.area
        if area is None:
            return None
        features = read_features(area, self.grid, layer=None, field=None)
        return Burner(features.shapes, np.ones(len(features.shapes)))

    def _labels(self) -> Labels:
        config, entry = self.config, self.entry
        if config.overlapping is not None:
            return self._overlapping()
        if entry.labels[0][0] is None and not entry.features:
            raster = self._raster(entry.labels[0][1])
            if config.quantities:
                return NumberRaster(raster, config.quantities, config.values_nodata)
            return ClassRaster(raster, config.values, config.classes.ignore_index)
        if config.quantities:
            return self._measured()
        return self._classes()

    def _raster(self, file: Path) -> LabelRaster:
        return LabelRaster(file, self.grid, self.opened)

    def _features(self, file: Path, field: str | None) -> Features:
        entry = self.entry
        found = read_features(file, self.grid, layer=entry.layer, field=field, empty=entry.empty)
        if found.lost:
            self.notes.append(
                f"{found.lost} features of {file.name} have no geometry that can be burnt, and are"
                " left out"
            )
        return found

    def _classes(self) -> Burnt:
        """Features of one file, or of one per class: the later ones are seen."""
        config, entry = self.config, self.entry
        names = config.classes.names
        shapes: list[NDArray[Any]] = []
        values: list[NDArray[np.int64]] = []
        for name, file in entry.labels:
            if not is_features(file):
                raise InputError(
                    f"labels: {file} of {name} is a raster; name one raster for all classes, or"
                    " vector files"
                )
            found = self._features(file, entry.field)
            shapes.append(found.shapes)
            if name is None:
                values.append(classes_of(config, entry, found)[found.rows])
            else:
                values.append(np.full(len(found.shapes), names.index(name), np.int64))
        every = np.concatenate(values)
        around = config.background
        if around is None:
            if (every == 0).any() or len(names) < 2:
                raise InputError(
                    f"{entry.labels[0][1]}: has features of {names[0]!r}, so nothing says what is"
                    f" outside of all; write `{BACKGROUND}: ignore`, or the name of a class"
                )
            around = 0
        return self._burnt(np.concatenate(shapes), every, around)

    def _burnt(self, shapes: NDArray[Any], values: NDArray[Any], around: int | float) -> Burnt:
        burner = Burner(shapes, values)
        if around == self.config.classes.ignore_index or around != around:
            self._seen.append(burner)
        return Burnt(burner, around, values.dtype.type)

    def _measured(self) -> Measured:
        config, entry = self.config, self.entry
        if len(config.quantities) > 1 or entry.labels[0][0] is not None:
            raise InputError(
                f"labels: features of {entry.labels[0][1]} have one number; name one quantity in"
                " `values:`, and one file with `field:`"
            )
        found = self._features(entry.labels[0][1], entry.field)
        numbers = numbers_of(entry, found)[found.rows]
        known = np.isfinite(numbers)
        if lost := int((~known).sum()):
            self.notes.append(f"{lost} shapes of {found.file.name} have no {entry.field}")
        around = np.nan if config.background is None else config.background
        burnt = self._burnt(found.shapes[known], numbers[known], around)
        return Measured(burnt, config.quantities, config.values_nodata)

    def _overlapping(self) -> Labels:
        config, entry = self.config, self.entry
        how, names, ignored = config.overlapping, config.classes.names, config.classes.ignore_index
        assert how is not None
        reader = LabelReader(how, names, ignored, config.file, 0.0)
        name, file = entry.labels[0]
        if name is None and not entry.features:
            if how.how == "files":
                raise InputError(
                    f"labels: {file} is one raster, but `overlapping: files` says one file per"
                    f" label; write {{{names[0]}: file, ...}}, or `overlapping: bands`"
                )
            return OverlappingRaster(self._raster(file), reader)
        if how.how != "files":
            raise InputError(
                f"overlapping={how.how!r}: is for one raster, but labels of {entry.image} are"
                " features or several files; write `overlapping: files`"
            )
        if name is None:
            found = self._features(file, entry.field)
            classes = classes_of(config, entry, found)[found.rows]
            return Stacked([self._one(found, classes, i) for i in range(len(names))])
        of = dict(entry.labels)
        stacked: list[Labels | int] = []
        for i, label in enumerate(names):
            path = of.get(label)
            if path is None:
                if how.missing == "error":
                    raise InputError(
                        f"labels: {entry.image} has none for {label}; add {label}: file, or write"
                        " missing_masks: empty, or ignore"
                    )
                stacked.append(0 if how.missing == "empty" else ignored)
            elif is_features(path):
                found = self._features(path, None)
                stacked.append(self._one(found, np.full(len(found.shapes), i, np.int64), i))
            else:
                stacked.append(OneLabelRaster(self._raster(path), reader))
        return Stacked(stacked)

    def _one(self, found: Features, classes: NDArray[np.int64], number: int) -> Burnt:
        """One label, from the features that have it."""
        ignored = self.config.classes.ignore_index
        mine = (classes == number) | (classes == ignored)
        values = np.where(classes[mine] == ignored, ignored, 1)
        assert self.config.background is not None
        return self._burnt(found.shapes[mine], values, int(self.config.background))


def _parts(file: Path, named: list[str]) -> tuple[Path, ...]:
    """The files that make up a raster, where they can be looked at."""
    found = [Path(name) for name in named]
    return tuple(part for part in found if part.is_file()) or (file,)


def _beside(file: Path) -> list[Path]:
    """A file of labels and what belongs to it, as the .dbf of a .shp."""
    if file.is_dir():
        return sorted(part for part in file.rglob("*") if part.is_file())
    same = [part for part in file.parent.glob(f"{_escaped(file.stem)}.*") if part.is_file()]
    if file.suffix.lower() != ".shp":
        return [file]
    return sorted(part for part in same if part.suffix.lower() in (".shp", ".dbf", ".prj", ".cpg"))


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
