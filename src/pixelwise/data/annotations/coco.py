"""COCO: one JSON with images, annotations and categories.

A segmentation is a list of polygons, which together are the thing, or runs of pixels down the
columns, as numbers or packed into text. Corners of pixels have whole numbers.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from pixelwise.data.annotations.shapes import Drawing, Drawn, Region, Runs, Shape
from pixelwise.errors import InputError

MOST = 10**9
"""No picture has so many pixels."""


def is_coco(content: object) -> bool:
    """Whether a JSON is one of COCO."""
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read_coco(file: Path, content: dict[str, Any]) -> Drawn:
    """All images, with the shapes of their annotations; small ones lie on top of large ones.

    Raises:
        InputError: An annotation of an unknown image or category, or a wrong segmentation.
    """
    categories = {
        c.get("id"): str(c.get("name", "")).strip() for c in _rows(file, content, "categories")
    }
    images = _rows(file, content, "images")
    drawn = Drawn(file, "COCO", by_area=True)
    drawn.labels = tuple(dict.fromkeys(categories[key] for key in sorted(categories, key=_order)))
    shapes: dict[object, list[Shape]] = {image.get("id"): [] for image in images}
    if len(shapes) < len(images):
        raise InputError(f"{file}: two images have the same id; give each its own")
    sizes = {image.get("id"): _size(image) for image in images}
    for i, row in enumerate(_rows(file, content, "annotations")):
        where = f"{file}: annotation {row.get('id', i)}"
        image, category = row.get("image_id"), row.get("category_id")
        if image not in shapes:
            raise InputError(f"{where}: image_id={image}: is no image of the file; correct it")
        if not categories.get(category):
            raise InputError(f"{where}: category_id={category}: is no category; add it")
        regions = _regions(drawn, row.get("segmentation"), where, sizes[image])
        if regions:
            shapes[image].append(Shape(categories[category], regions))
    for image in images:
        name = image.get("file_name")
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{file}: image {image.get('id')}: has no file_name; add it")
        names = (Path(name.strip().replace("\\", "/")),)
        key = image.get("id")
        where = f"{file}: image {key}"
        drawn.drawings.append(Drawing(names, tuple(shapes[key]), sizes[key], where))
    return drawn


def unpacked(text: str, where: str) -> list[int]:
    """Lengths of runs from COCO's text: five bits per letter, differences from the third on.

    Raises:
        InputError: Letters that mean nothing.
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise InputError(
                f"{where}: its runs hold {letter!r}, which means nothing; export again"
            )
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise InputError(f"{where}: its runs are cut off; export it again")
    return lengths


def runs(size: object, counts: object, where: str) -> Runs:
    """Runs of pixels.

    Raises:
        InputError: They do not fill the picture.
    """
    lengths = unpacked(counts, where) if isinstance(counts, str) else counts
    try:
        height, width = np.array(size, np.int64).tolist()
        found: Int64[np.ndarray, " n"] = np.array(lengths, np.int64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: must have size and counts of runs; export it again") from None
    good = (
        found.ndim == 1 and (found >= 0).all() and (found <= MOST).all() and min(height, width) > 0
    )
    if not good or found.sum() != height * width:
        raise InputError(
            f"{where}: its runs do not fill {height} x {width} pixels (height x width); export it"
            " again"
        )
    return Runs((height, width), found)


def _regions(
    drawn: Drawn, value: object, where: str, size: tuple[int, int] | None
) -> tuple[Region, ...]:
    if isinstance(value, dict):
        found = runs(value.get("size"), value.get("counts"), where)
        if size is not None and found.size != size:
            raise InputError(
                f"{where}: its runs are of {found.size[0]} x {found.size[1]} pixels (height x"
                f" width), its image of {size[0]} x {size[1]}; correct the sizes"
            )
        if not found.area:
            drawn.leave_out("without area", where)
            return ()
        return (found,)
    if value is None or value == []:
        drawn.leave_out("without segmentation (a box alone)", where)
        return ()
    if not isinstance(value, list):
        raise InputError(f"{where}: segmentation must be polygons or runs; correct it")
    rings = value if isinstance(value[0], list) else [value]
    return tuple(region for ring in rings for region in drawn.polygon(ring, where))


def _rows(file: Path, content: dict[str, Any], key: str) -> list[dict[Any, Any]]:
    rows = content.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file}: {key} must list what it holds; export it again")
    for row in rows:
        for name in ("id", "image_id", "category_id"):
            if isinstance(row.get(name), list | dict):
                raise InputError(f"{file}: {key}: {name}={row[name]}: must be a number; correct it")
    return rows


def _size(image: dict[Any, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    return (height, width) if type(height) is int and type(width) is int else None


def _order(key: object) -> tuple[bool, float, str]:
    return (False, float(key), "") if isinstance(key, int | float) else (True, 0.0, str(key))
