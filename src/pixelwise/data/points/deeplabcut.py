"""DeepLabCut's CSV: rows scorer, [individuals], bodyparts, coords, then a row per picture.

Whole numbers lie at the centres of pixels, so half a pixel is added. Empty, NaN and negative
places are missing points.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelwise.data.points.figure import SEEN, Figure
from pixelwise.data.points.labels import PointLabels, empty_points
from pixelwise.data.points.text import number, picture_path
from pixelwise.errors import InputError
from pixelwise.pictures.files import write_bytes

HEADS = ("scorer", "individuals", "bodyparts", "coords")
AXES = ("x", "y")
Rows = list[tuple[int, list[str]]]


def read_deeplabcut(file: Path, rows: Rows) -> PointLabels:
    """The figures of a `CollectedData_*.csv`: one per picture, or per picture and individual.

    Raises:
        InputError: A header row lacks, a column is no coordinate, or a cell no number.
    """
    heads = {}
    for _, cells in rows[: len(HEADS)]:
        if cells[0].lower() in HEADS:
            heads[cells[0].lower()] = cells
    for head in ("bodyparts", "coords"):
        if head not in heads:
            raise InputError(
                f"{file}: has no row {head!r}; give a CollectedData CSV as DeepLabCut writes it"
            )
    coords = [cell.lower() for cell in heads["coords"]]
    first = next((i for i, cell in enumerate(coords) if cell in AXES), 0)
    parts = heads["bodyparts"][first:]
    names = tuple(dict.fromkeys(part for part in parts if part))
    animals = heads.get("individuals", [""] * len(coords))[first:]
    columns: dict[tuple[str, str, str], int] = {}
    if first == 0 or not len(parts) == len(animals) == len(coords) - first or "" in parts:
        raise InputError(f"{file}: header rows do not fit together; export the file again")
    for i, key in enumerate(zip(animals, parts, coords[first:], strict=True)):
        if key in columns:
            raise InputError(f"{file}: bodypart {key[1]!r} has {key[2]!r} twice; keep one column")
        columns[key] = first + i
    for animal, part in {(a, p) for a, p, _ in columns}:
        for axis in AXES:
            if (animal, part, axis) not in columns:
                raise InputError(
                    f"{file}: bodypart {part!r} has no column {axis!r}; add it to row 'coords'"
                )
    figures = []
    seen: dict[Path, list[str]] = {}
    for line, cells in rows[len(heads) :]:
        where = f"{file}, line {line}"
        if len(cells) != len(coords):
            raise InputError(f"{where}: has {len(cells)} of {len(coords)} columns; correct the row")
        picture = picture_path("/".join(cell for cell in cells[:first] if cell), where)
        if picture in seen:
            if seen[picture] != cells:
                raise InputError(f"{where}: {picture} has another row before; keep one")
            continue
        seen[picture] = cells
        for animal in dict.fromkeys(animals):
            points, visible = empty_points(len(names))
            for i, part in enumerate(names):
                if (animal, part, "x") not in columns:
                    continue
                x, y = (
                    number(cells[columns[animal, part, axis]], f"{where}, {part!r}")
                    for axis in AXES
                )
                if math.isnan(x) != math.isnan(y):
                    raise InputError(
                        f"{where}: {part!r} has one coordinate of two; write both or none"
                    )
                if x >= 0 and y >= 0:
                    points[i], visible[i] = (x + 0.5, y + 0.5), SEEN
            if visible.any() or len({*animals}) == 1:
                figures.append(Figure(picture, points, visible))
    return PointLabels(file, names, figures)


def write_deeplabcut(
    file: Path,
    figures: Sequence[Figure],
    names: Sequence[str],
    likelihoods: Sequence[np.ndarray],
    scorer: str = "pixelwise",
) -> None:
    """Write a CSV like DeepLabCut's: x, y and likelihood per point, a row per picture.

    Raises:
        InputError: A picture has two figures.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["scorer", *[scorer] * 3 * len(names)])
    table.writerow(["bodyparts", *(name for name in names for _ in range(3))])
    table.writerow(["coords", *["x", "y", "likelihood"] * len(names)])
    written = set()
    for figure, likelihood in zip(figures, likelihoods, strict=True):
        if figure.file in written:
            raise InputError(f"{figure.file}: has two figures; write a plain CSV instead")
        written.add(figure.file)
        cells: list[object] = [figure.file.as_posix()]
        for place, score, there in zip(figure.points, likelihood, figure.labelled, strict=True):
            x, y = (round(float(v) - 0.5, 4) for v in place) if there else ("", "")
            cells += [x, y, round(float(score), 6)]
        table.writerow(cells)
    write_bytes(file, text.getvalue().encode())
