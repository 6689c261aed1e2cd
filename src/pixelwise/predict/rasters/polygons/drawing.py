"""Reads a raster of classes strip by strip; writes polygons and areas."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from pixelwise.data.rasters.files import told
from pixelwise.errors import InputError
from pixelwise.predict.rasters.geotiff import Place
from pixelwise.predict.rasters.outputs import unfinished
from pixelwise.predict.rasters.polygons.areas import Areas
from pixelwise.predict.rasters.polygons.ground import Ground
from pixelwise.predict.rasters.polygons.outlines import Outliner
from pixelwise.predict.rasters.polygons.regions import Regions
from pixelwise.predict.rasters.polygons.simplified import Simplifier
from pixelwise.predict.rasters.polygons.writing import WRITERS, Batch, Writer
from pixelwise.predict.rasters.sink import Progress

READ, STRIP = 2**24, 2**21
"""Pixels that are read at once, and those of a strip."""
BATCH = 10_000
"""Polygons that are written at once, or more."""


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a raster mean.

    Args:
        names: Of the classes 0, 1, ..., or of the bands; may be empty.
        drawn: The classes that polygons are drawn of; None: all.
        labels: Each band is a class, where it is 1.
    """

    names: tuple[str, ...]
    drawn: tuple[int, ...] | None
    labels: bool

    def name(self, value: int) -> str:
        """Of a class."""
        return self.names[value] if 0 <= value < len(self.names) else str(value)


@dataclass(frozen=True)
class Drawing:
    """What is made of a raster of classes.

    Args:
        polygons: A file for polygons.
        areas: A file for areas.
        simplify: How much outlines may change, in the raster's units.
        minimum_area: Smaller polygons are left out.
    """

    polygons: Path | None = None
    areas: Path | None = None
    simplify: float = 0.0
    minimum_area: float = 0.0


def draw(file: Any, meaning: Meaning, drawing: Drawing, progress: Progress) -> Counter[int]:
    """Write the files; returns how many polygons each class has.

    Args:
        file: The raster of classes, open.
        meaning: What its numbers mean.
        drawing: What is made.
        progress: Told what is done.
    """
    ground = Ground.of(Place.of(file))
    known = range(len(meaning.names))
    areas = Areas(ground)
    counts = Counter(dict.fromkeys(known if meaning.drawn is None else meaning.drawn, 0))
    with ExitStack() as stack:
        writer: Writer | None = None
        straight: float | None = None
        if drawing.polygons is not None:
            path = drawing.polygons
            partial = stack.enter_context(unfinished(path))
            writer = WRITERS[path.suffix.lower()](partial, path.stem, ground.crs)
            straight = ground.straight if writer.bends else None
        tolerance = ground.in_pixels(drawing.simplify, file.shape)
        found = _outlines(file, meaning, areas, tolerance, progress)
        for batch in _batches(found, meaning, ground, straight, drawing.minimum_area):
            counts.update(batch.classes.tolist())
            if writer is not None:
                writer.write(batch)
        if writer is not None:
            writer.close()
        if drawing.areas is not None:
            partial = stack.enter_context(unfinished(drawing.areas))
            partial.write_text(areas.table(known, meaning.name, counts), encoding="utf-8")
    return counts


def _outlines(
    file: Any, meaning: Meaning, areas: Areas, tolerance: float, progress: Progress
) -> Iterator[tuple[Any, ndarray]]:
    """Polygons of (column, row) and their classes; the pixels are counted by the way."""
    height, width = file.shape
    bands = label_bands(file) if meaning.labels else [1]
    for number, band in enumerate(bands):
        regions = Regions(width)
        outliner = Simplifier(tolerance) if tolerance else Outliner()
        for top, values, valid in _strips(file, band):
            areas.seen += 0 if number else int(valid.sum())
            if meaning.labels:
                valid &= _is_label(values, valid, file.name, band)
                values = np.full_like(values, number, np.int32)
            areas.add(top, values, valid)
            if meaning.drawn is not None:
                valid &= np.isin(values, meaning.drawn)
            yield outliner.add(regions.add(values, valid))
            progress("drawing", number * height + top + len(values), len(bands) * height)
        nothing = np.zeros((1, width), np.int32)
        yield outliner.add(regions.add(nothing, nothing.astype(np.bool_)))


def label_bands(file: Any) -> list[int]:
    """The bands of a raster, but transparency, counted from 1."""
    return [band for band, kind in enumerate(file.colorinterp, start=1) if kind.name != "alpha"]


def _is_label(values: ndarray, valid: ndarray, name: str, band: int) -> ndarray:
    strange = values[valid & (values != 0) & (values != 1)]
    if len(strange):
        raise InputError(
            f"{name}: band {band} holds {strange[0]}, but a band of several is a label, 0 or 1;"
            " give a raster of classes or labels"
        )
    return values == 1


def _strips(file: Any, band: int) -> Iterator[tuple[int, ndarray, ndarray]]:
    """First row, values, and which pixels have data, from top to bottom."""
    from rasterio.errors import RasterioIOError
    from rasterio.windows import Window

    height, width = file.shape
    block = file.block_shapes[band - 1][0]
    read, rows = max(1, READ // width), max(1, STRIP // width)
    read -= read % block if read > block else 0
    whole = [flag.name for flag in file.mask_flag_enums[band - 1]] == ["all_valid"]
    for top in range(0, height, read):
        window = Window(0, top, width, min(read, height - top))
        try:
            values = file.read(band, window=window)
            valid = np.ones(values.shape, np.bool_)
            if not whole:
                valid = file.read_masks(band, window=window) > 0
        except RasterioIOError as error:
            raise InputError(
                f"{file.name}: rows from {top} on cannot be read ({told(error)}); write it again"
            ) from error
        for first in range(0, len(values), rows):
            part = slice(first, first + rows)
            yield top + first, values[part], valid[part]


def _batches(
    found: Iterator[tuple[Any, ndarray]],
    meaning: Meaning,
    ground: Ground,
    straight: float | None,
    minimum_area: float,
) -> Iterator[Batch]:
    """What is written at once, at its coordinates; at least one batch, if an empty one."""
    import shapely

    waiting: list[Batch] = []
    for polygons, classes in found:
        if straight is not None:
            polygons = shapely.segmentize(polygons, straight)
        placed = ground.placed(polygons)
        areas, lengths = ground.measured(polygons, placed)
        large = areas >= minimum_area
        names = [meaning.name(value) for value in classes[large].tolist()]
        waiting.append(Batch(placed[large], classes[large], names, areas[large], lengths[large]))
        if sum(len(batch.names) for batch in waiting) >= BATCH:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: Sequence[Batch]) -> Batch:
    return Batch(
        np.concatenate([batch.polygons for batch in batches]),
        np.concatenate([batch.classes for batch in batches]),
        [name for batch in batches for name in batch.names],
        np.concatenate([batch.areas for batch in batches]),
        np.concatenate([batch.lengths for batch in batches]),
    )
