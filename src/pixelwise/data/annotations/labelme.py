"""labelme: a JSON per picture, with a list of shapes.

Corners of pixels have whole numbers. `__ignore__` and `_background_` are the tool's own labels.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.data.annotations.shapes import Drawing, Drawn, Patch, Region, Shape, ring
from pixelwise.errors import InputError

CORNERS = 720
"""Of the polygon that stands for a circle."""


def is_labelme(content: object) -> bool:
    """Whether a JSON is one of labelme."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(place: Path, files: Sequence[tuple[Path, dict[str, Any]]]) -> Drawn:
    """The shapes of some files; those without area, as points and lines, are left out.

    Raises:
        InputError: A shape without label or with wrong points.
    """
    drawn = Drawn(place, "labelme")
    labels: set[str] = set()
    for file, content in files:
        name = content.get("imagePath")
        name = name.strip().replace("\\", "/") if isinstance(name, str) else ""
        if not Path(name).name:
            raise InputError(f"{file}: imagePath: names no picture; write the name of its file")
        inside = file.parent.relative_to(place) if place != file else Path()
        path = Path(os.path.normpath(inside / name))
        shapes = []
        for i, row in enumerate(content["shapes"]):
            where = f"{file}: shapes[{i}]"
            label = row.get("label") if isinstance(row, dict) else None
            if not isinstance(label, str) or not label.strip():
                raise InputError(f"{where}: has no label; name it")
            if regions := _regions(drawn, row, where):
                shapes.append(Shape(label.strip(), regions))
                labels.add(label.strip())
        height, width = content.get("imageHeight"), content.get("imageWidth")
        size = (height, width) if type(height) is int and type(width) is int else None
        # A picture may have been moved beside its file, whatever imagePath says.
        drawn.drawings.append(Drawing((path, inside / path.name), tuple(shapes), size, str(file)))
    drawn.labels = tuple(sorted(labels))
    return drawn


def _regions(drawn: Drawn, row: dict[str, Any], where: str) -> tuple[Region, ...]:
    kind = row.get("shape_type", "polygon")
    corners = ring(row.get("points"), where)
    if kind == "polygon" or (kind == "rectangle" and len(corners) == 4):
        return drawn.polygon(corners, where)
    if kind in ("rectangle", "circle", "mask") and len(corners) != 2:
        raise InputError(f"{where}: a {kind} must have two points; draw it again")
    if kind == "rectangle":
        (a, b), (c, d) = corners.tolist()
        return drawn.polygon([(a, b), (c, b), (c, d), (a, d)], where)
    if kind == "circle":
        radius = math.dist(*corners.tolist())
        turns = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
        outline = corners[0] + radius * np.stack([np.cos(turns), np.sin(turns)], 1)
        return drawn.polygon(outline if radius else corners, where)
    if kind == "mask":
        left, top = np.floor(corners.min(0)).tolist()
        return (Patch.of(left, top, row.get("mask"), where),)
    drawn.leave_out("that are points or lines", where)
    return ()
