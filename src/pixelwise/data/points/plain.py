"""Plain CSV: file,name,x,y and, where one likes, visible, figure and score; a row per point.

Whole numbers lie at the centres of pixels, so half a pixel is added. An empty place or visible 0
is a missing point. `figure` numbers the figures of one picture.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelwise.data.points.figure import MISSING, SEEN, Figure
from pixelwise.data.points.labels import PointLabels, empty_points
from pixelwise.data.points.text import number, picture_path
from pixelwise.errors import InputError
from pixelwise.pictures.files import write_bytes

COLUMNS = ("file", "name", "x", "y")
Place = tuple[float, float, int]


def read_plain(file: Path, rows: list[tuple[int, list[str]]]) -> PointLabels:
    """The figures of a plain CSV; the same row twice counts once.

    Raises:
        InputError: A column lacks, a cell is no number, or a point has two places.
    """
    columns = {cell.lower(): i for i, cell in enumerate(rows[0][1])}
    lacking = [name for name in COLUMNS if name not in columns]
    if lacking:
        raise InputError(
            f"{file}: has no column {lacking[0]!r}; give file,name,x,y[,visible], or a CSV of"
            " DeepLabCut"
        )
    found: dict[tuple[Path, str], dict[str, Place]] = {}
    names: dict[str, None] = {}
    for line, cells in rows[1:]:
        where = f"{file}, line {line}"
        if len(cells) != len(rows[0][1]):
            raise InputError(
                f"{where}: has {len(cells)} of {len(rows[0][1])} columns; correct the row"
            )
        picture = picture_path(cells[columns["file"]], where)
        name = cells[columns["name"]]
        if not name:
            raise InputError(f"{where}: the point has no name; write one")
        figure = cells[columns["figure"]] if "figure" in columns else ""
        told = cells[columns["visible"]] if "visible" in columns else ""
        place = _place(cells[columns["x"]], cells[columns["y"]], told, where)
        names[name] = None
        group = found.setdefault((picture, figure), {})
        if group.setdefault(name, place) != place:
            raise InputError(f"{where}: {name!r} of {picture} has another place before; keep one")
    if not names:
        raise InputError(f"{file}: has no row with a point; label some")
    order = {name: i for i, name in enumerate(names)}
    figures = []
    for (picture, _), group in found.items():
        points, visible = empty_points(len(order))
        for name, (x, y, seen) in group.items():
            if seen:
                points[order[name]], visible[order[name]] = (x + 0.5, y + 0.5), seen
        figures.append(Figure(picture, points, visible))
    return PointLabels(file, tuple(names), figures)


def write_plain(
    file: Path, figures: Sequence[Figure], names: Sequence[str], scores: Sequence[np.ndarray]
) -> None:
    """Write file,name,x,y,visible,figure,score: what `read_plain` reads, and a score per point."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS, "visible", "figure", "score"])
    counted: dict[Path, int] = {}
    for figure, score in zip(figures, scores, strict=True):
        counted[figure.file] = counted.get(figure.file, -1) + 1
        for i, name in enumerate(names):
            there = figure.visible[i] != MISSING
            x, y = (round(float(v) - 0.5, 4) for v in figure.points[i]) if there else ("", "")
            own = counted[figure.file] if figure.figure_id is None else figure.figure_id
            table.writerow(
                [
                    figure.file.as_posix(), name, x, y, int(figure.visible[i]),
                    own, round(float(score[i]), 6),
                ]
            )  # fmt: skip
    write_bytes(file, text.getvalue().encode())


def _place(x_cell: str, y_cell: str, told: str, where: str) -> Place:
    x, y, visible = number(x_cell, where), number(y_cell, where), number(told, where)
    if visible not in (0, 1, 2) and not math.isnan(visible):
        raise InputError(f"{where}: visible={told}: must be 0, 1 or 2; correct it")
    if visible == MISSING or (math.isnan(x) and math.isnan(y) and math.isnan(visible)):
        return 0.0, 0.0, MISSING
    if math.isnan(x) or math.isnan(y):
        raise InputError(
            f"{where}: lacks a coordinate; write both, or neither and no `visible` above 0"
        )
    return x, y, SEEN if math.isnan(visible) else int(visible)
