"""`pixelwise.predict.polygons`: polygons and areas of a raster of classes."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.checks import in_range
from pixelwise.data.rasters.files import limited_cache, open_raster
from pixelwise.errors import InputError, unknown
from pixelwise.predict.rasters.geotiff import Place
from pixelwise.predict.rasters.outputs import check_output
from pixelwise.predict.rasters.polygons import areas as tables
from pixelwise.predict.rasters.polygons.drawing import Drawing, Meaning, draw, label_bands
from pixelwise.predict.rasters.polygons.ground import Ground
from pixelwise.predict.rasters.polygons.writing import WRITERS, check_closed, in_degrees, is_ours
from pixelwise.predict.rasters.sink import Progress

STRETCHED = 0.01
"""An error of areas that is told."""
LARGEST = 1e12
Say = Callable[[str], None]
"""Takes lines for the user."""


def polygons(
    raster: str | Path,
    out: str | Path | None = None,
    *,
    areas: str | Path | None = None,
    of: str | Sequence[str | int] | None = None,
    simplify: float = 0.0,
    minimum_area: float = 0.0,
    progress: Progress = lambda what, done, total: None,
    say: Say = lambda line: None,
) -> dict[str, int]:
    """Draw the regions of a raster of classes, and measure them.

    A region is pixels of one class that share sides. Holes are kept. Areas and lengths are in the
    raster's units, in metres where these are degrees.

    Args:
        raster: Whole numbers in one band; or several bands, one per label, that are 1 where it is.
        out: A `.gpkg`, `.geojson` or `.json` for the polygons.
        areas: A `.csv` for pixels and area of each class.
        of: Names or numbers of the classes that are drawn, also with commas between; by default
            all.
        simplify: How much outlines may change, in the raster's units.
        minimum_area: Smaller polygons are left out.
        progress: Told what is done.
        say: Likewise, lines on what to know about the result.

    Returns:
        Class -> how many polygons it has.

    Raises:
        InputError: Anything that does not fit; files that cannot be read or written.
    """
    drawing = drawing_of(out, areas, simplify, minimum_area, Path(raster))
    if drawing is None:
        raise InputError("out=None: nothing is wanted; give out, areas or both")
    with limited_cache(), open_raster(Path(raster)) as file:
        if np.dtype(file.dtypes[0]).kind not in "iu":
            raise InputError(
                f"{raster}: holds numbers of type {file.dtypes[0]}, not classes; give a raster of"
                " whole numbers"
            )
        labels = len(label_bands(file)) > 1
        names = tuple(file.descriptions[band - 1] or str(band - 1) for band in label_bands(file))
        meaning = choose(Meaning(names if labels else _classes(file), None, labels), of)
        check_place(drawing, Place.of(file), file.shape, str(raster), say)
        counts = draw(file, meaning, drawing, progress)
    return {meaning.name(value): count for value, count in sorted(counts.items())}


def drawing_of(
    polygons: str | Path | None,
    areas: str | Path | None,
    simplify: float,
    minimum_area: float,
    read: Path | None,
) -> Drawing | None:
    """What is wanted, if anything.

    Args:
        polygons: See `polygons`.
        areas: Likewise.
        simplify: Likewise.
        minimum_area: Likewise.
        read: The raster that it is made of.

    Raises:
        InputError: Files that cannot be written; a package that is missing.
    """
    in_range(0, LARGEST, simplify=simplify, minimum_area=minimum_area)
    if polygons is None and areas is None:
        if simplify or minimum_area:
            raise InputError(
                f"simplify={simplify:g}, minimum_area={minimum_area:g}: are of polygons; give a"
                " file for polygons, or leave them out"
            )
        return None
    found = Drawing(_path(polygons), _path(areas), simplify, minimum_area)
    _check_installed(found.polygons or found.areas)
    if found.polygons is not None:
        check_output(found.polygons, tuple(WRITERS), read, is_ours)
        check_closed(found.polygons)
    if found.areas is not None:
        check_output(found.areas, (".csv",), read, tables.is_ours)
    return found


def choose(meaning: Meaning, of: str | Sequence[str | int] | None) -> Meaning:
    """The same with other classes to draw, if any are named."""
    if of is None:
        return meaning
    if isinstance(of, str):
        of = [of] if of in meaning.names else [name.strip() for name in of.split(",")]
    numbers: list[int] = []
    for one in of:
        same = [i for i, name in enumerate(meaning.names) if name == str(one)]
        if not same and str(one).isdecimal():
            same = [int(one)]
            if meaning.names and same[0] >= len(meaning.names):
                raise unknown("polygons_of", str(one), meaning.names)
        if not same:
            raise unknown("polygons_of", str(one), meaning.names)
        numbers += same
    if not numbers:
        raise InputError("polygons_of=[]: names no class; name some, or leave it out")
    return Meaning(meaning.names, tuple(sorted(set(numbers))), meaning.labels)


def check_place(
    drawing: Drawing, place: Place, shape: tuple[int, int], name: str, say: Say
) -> None:
    """Say what to know about coordinates and areas; GeoJSON that cannot be is refused.

    Args:
        drawing: What is made.
        place: Of the raster.
        shape: Its rows and columns.
        name: For messages.
        say: Takes the lines.
    """
    import shapely

    height, width = shape
    ground = Ground.of(place)
    stretch = ground.stretch(width / 2, height / 2)
    if place.gcps is not None:
        say(f"{name}: is placed by control points; polygons are in pixels, rectify it for others")
    elif ground.crs is None:
        units = "pixels" if ground.unit == "pixel" else "the raster's own units"
        say(f"{name}: has no coordinate system; coordinates, areas and lengths are in {units}")
    elif abs(stretch - 1) > STRETCHED:
        say(
            f"{name}: its map shows areas {stretch:.3g} times as large as they are, and so do"
            " the areas of polygons; reproject the raster for true ones"
        )
    kind = None if drawing.polygons is None else WRITERS[drawing.polygons.suffix.lower()]
    if kind is WRITERS[".geojson"] and ground.crs is not None:
        longest = width + height if ground.angles else ground.straight
        outline = shapely.segmentize(shapely.box(0, 0, width, height), longest)
        in_degrees(ground.placed(np.array([outline])), ground.crs)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _check_installed(path: Any) -> None:
    try:
        import pyogrio
        import shapely

        del pyogrio, shapely
    except ImportError as error:
        raise InputError(
            f"{path}: {error.name} is needed for polygons; pip install 'pixelwise[raster]'"
        ) from error


def _classes(file: Any) -> tuple[str, ...]:
    with suppress(KeyError, ValueError, TypeError):
        names = json.loads(file.tags()["classes"])
        return tuple(map(str, names)) if isinstance(names, list) else ()
    return ()
