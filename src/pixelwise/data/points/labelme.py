"""labelme: a JSON per picture, with a shape per point.

Its numbers have halves at the centres of pixels, as here. Shapes with a `group_id` are figures of
their own. A flag "hidden" or "occluded" of a shape makes a point hidden.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.data.points.figure import HIDDEN, SEEN, Figure
from pixelwise.data.points.labels import PointLabels, empty_points
from pixelwise.data.points.text import FAR, picture_path
from pixelwise.errors import InputError

HIDING = ("hidden", "occluded")
Place = tuple[float, float, int]


def read_labelme(where: Path, files: Sequence[tuple[Path, dict[str, Any]]]) -> PointLabels:
    """The figures of some labelme files; shapes that are no points are left out.

    Raises:
        InputError: A shape without label or place, a label twice in one figure, or a picture
            with two files.
    """
    found = [(file, _figures(file, content), content) for file, content in files]
    names = tuple(dict.fromkeys(n for _, groups, _ in found for g in groups for n in g))
    if not names:
        raise InputError(f"{where}: has no shape of type point; label some")
    figures = []
    labelled_in: dict[Path, Path] = {}
    for file, groups, content in found:
        picture = picture_path(content.get("imagePath"), f"{file}: imagePath")
        if where != file:
            picture = Path(os.path.normpath(file.relative_to(where).parent / picture))
        if labelled_in.setdefault(picture, file) != file:
            raise InputError(
                f"{file}: its picture {picture} is labelled in {labelled_in[picture]} too; keep one"
            )
        for group in groups:
            points, visible = empty_points(len(names))
            for name, (x, y, seen) in group.items():
                i = names.index(name)
                points[i], visible[i] = (x, y), seen
            figures.append(Figure(picture, points, visible))
    return PointLabels(where, names, figures)


def _figures(file: Path, content: dict[str, Any]) -> list[dict[str, Place]]:
    shapes = content.get("shapes")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise InputError(f"{file}: has no list 'shapes'; save it with labelme again")
    groups: dict[str, dict[str, Place]] = {}
    for i, shape in enumerate(shapes):
        if shape.get("shape_type") != "point":
            continue
        label, points = shape.get("label"), shape.get("points")
        if not isinstance(label, str) or not label.strip():
            raise InputError(f"{file}: shapes[{i}]: has no label; name the point")
        label = label.strip()
        try:
            ((x, y),) = points
            x, y = float(x), float(y)
        except (TypeError, ValueError, OverflowError):
            x = y = FAR
        if not (abs(x) < FAR and abs(y) < FAR):
            raise InputError(f"{file}: point {label!r}: must be two numbers in pixels; correct it")
        flags = shape.get("flags")
        hidden = isinstance(flags, dict) and any(flags.get(flag) is True for flag in HIDING)
        group = groups.setdefault(str(shape.get("group_id")), {})
        place = (x, y, HIDDEN if hidden else SEEN)
        if group.setdefault(label, place) != place:
            raise InputError(
                f"{file}: point {label!r} stands twice; remove one, or give each figure a group_id"
            )
    return list(groups.values()) or [{}]
