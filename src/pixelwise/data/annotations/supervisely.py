"""Supervisely: a project with a meta.json, and in each data set `ann/NAME.json` beside `img/NAME`.

Whole numbers of polygons are the centres of pixels, and a polygon has those on its outline too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.data.annotations.shapes import Drawing, Drawn, Patch, Region, Shape, ring
from pixelwise.errors import InputError


def is_supervisely(content: object) -> bool:
    """Whether a JSON is one of Supervisely."""
    return isinstance(content, dict) and isinstance(content.get("objects"), list)


def read_supervisely(
    place: Path, files: Sequence[tuple[Path, dict[str, Any]]], meta: dict[str, Any] | None
) -> Drawn:
    """The objects of some files; those without area, as points and lines, are left out.

    Args:
        place: The folder of the project.
        files: Of its data sets.
        meta: Of its meta.json, which has the classes; None: there is none.

    Raises:
        InputError: An object without class or with wrong geometry.
    """
    drawn = Drawn(place, "Supervisely")
    labels: set[str] = set()
    for file, content in files:
        shapes = []
        for i, row in enumerate(content["objects"]):
            where = f"{file}: objects[{i}]"
            label = row.get("classTitle") if isinstance(row, dict) else None
            if not isinstance(label, str) or not label.strip():
                raise InputError(f"{where}: has no classTitle; name its class")
            if regions := _regions(drawn, row, where):
                shapes.append(Shape(label.strip(), regions))
                labels.add(label.strip())
        stated = content.get("size")
        told = stated if isinstance(stated, dict) else {}
        height, width = told.get("height"), told.get("width")
        size = (height, width) if type(height) is int and type(width) is int else None
        inside = file.relative_to(place)
        picture = inside.parent.parent / "img" / inside.stem
        drawn.drawings.append(Drawing((picture, Path(inside.stem)), tuple(shapes), size, str(file)))
    rows = meta.get("classes") if meta else None
    titles = [str(row.get("title")).strip() for row in rows or () if isinstance(row, dict)]
    drawn.labels = (*titles, *sorted(labels - {*titles}))
    return drawn


def _regions(drawn: Drawn, row: dict[str, Any], where: str) -> tuple[Region, ...]:
    kind = row.get("geometryType")
    if kind == "bitmap":
        bitmap = row.get("bitmap")
        if not isinstance(bitmap, dict):
            raise InputError(f"{where}: has no bitmap; export it again")
        ((left, top),) = ring([bitmap.get("origin")], where).tolist()
        return (Patch.of(left, top, bitmap.get("data"), where),)
    if kind in ("polygon", "rectangle"):
        points = row.get("points")
        if not isinstance(points, dict):
            raise InputError(f"{where}: has no points; export it again")
        outline = ring(points.get("exterior"), where)
        inner = points.get("interior") or []
        if not isinstance(inner, list):
            raise InputError(f"{where}: interior must list outlines of holes; export it again")
        if kind == "rectangle":
            if len(outline) != 2:
                raise InputError(f"{where}: a rectangle must have two points; draw it again")
            low, high = outline.min(0), outline.max(0) + 1  # both corners are pixels of it
            (a, b), (c, d) = low.tolist(), high.tolist()
            return drawn.polygon([(a, b), (c, b), (c, d), (a, d)], where)
        holes = [ring(hole, where) + 0.5 for hole in inner]
        return drawn.polygon(outline + 0.5, where, holes=holes, edges=True)
    drawn.leave_out("that are points or lines", where)
    return ()
