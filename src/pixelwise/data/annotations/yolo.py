"""YOLO: a .txt per picture, a line per polygon: `class x1 y1 x2 y2 ...`, shares of the size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelwise.data.annotations.shapes import Drawing, Drawn, Shape
from pixelwise.errors import InputError

OUTSIDE = 1.0
"""Points may lie so far outside of the picture, as a share of its size."""


def read_yolo(place: Path, files: Sequence[Path]) -> Drawn:
    """The polygons of some files; a picture without a file has nothing in it.

    Raises:
        InputError: A line that is no polygon: words, a box, or numbers that are no shares.
    """
    drawn = Drawn(place, "YOLO", numbered=True, bare=True)
    numbers: set[int] = set()
    for file in files:
        shapes = []
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: cannot be read ({error}); save it as text") from None
        for number, line in enumerate(lines, 1):
            where = f"{file}, line {number}"
            if not line.strip():
                continue
            label, points = _line(line, where)
            numbers.add(label)
            if regions := drawn.polygon(points, where, relative=True):
                shapes.append(Shape(str(label), regions))
        name = file.relative_to(place).with_suffix("")
        drawn.drawings.append(Drawing((name,), tuple(shapes), None, str(file)))
    drawn.labels = tuple(map(str, range(max(numbers, default=-1) + 1)))
    return drawn


def _line(line: str, where: str) -> tuple[int, list[float]]:
    first, *rest = line.split()
    try:
        points = [float(word) for word in rest]
    except ValueError:
        points = [np.nan]
    if not first.isdecimal() or not np.isfinite(points).all():
        raise InputError(f"{where}: must be `class x1 y1 x2 y2 ...`; correct it")
    if len(points) == 4:
        raise InputError(f"{where}: is a box, not a polygon; export it for segmentation")
    if len(points) % 2:
        raise InputError(f"{where}: has {len(points)} numbers after the class; give pairs")
    if min(points, default=0) < -OUTSIDE or max(points, default=0) > 1 + OUTSIDE:
        raise InputError(
            f"{where}: must have shares of the picture's width and height, from 0 to 1; divide"
            " pixels by them"
        )
    return int(first), points
