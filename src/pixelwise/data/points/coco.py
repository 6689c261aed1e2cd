"""COCO keypoints: one JSON with images, annotations and categories; and the results JSON.

Whole numbers lie at the centres of pixels, so half a pixel is added to points. Boxes are edges and
stay. Several categories share points of the same name, unless one is chosen.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.data.points.figure import MISSING, Figure
from pixelwise.data.points.labels import PointLabels, empty_points
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.points.text import FAR, picture_path
from pixelwise.errors import InputError, unknown
from pixelwise.pictures.files import write_bytes


def read_coco(
    file: Path, content: dict[str, Any], category: str | int | None = None
) -> PointLabels:
    """The figures of a COCO file; crowds are left out.

    Args:
        file: For messages.
        content: Of the file.
        category: Name or id of the only category whose figures count; None: all.

    Raises:
        InputError: Something lacks, has the wrong kind, or names what does not exist.
    """
    every = _items(file, content, "categories")
    names, places, edges = _categories(file, _chosen(file, every, category))
    known = [entry.get("id") for entry in every]
    pictures: dict[int, Path] = {}
    for i, entry in enumerate(_items(file, content, "images")):
        where = f"{file}: images[{i}]"
        number, picture = _id(entry, "id", where), picture_path(entry.get("file_name"), where)
        if pictures.setdefault(number, picture) != picture:
            raise InputError(
                f"{where}: id={number}: is that of {pictures[number]} too; give each its own"
            )
    figures = []
    numbered: dict[int, int] = {}
    for i, entry in enumerate(_items(file, content, "annotations")):
        where = f"{file}: annotations[{i}]"
        kind = _id(entry, "category_id", where)
        if kind not in known:
            raise InputError(f"{where}: category_id={kind}: is none of `categories`; add it")
        if kind not in places or entry.get("iscrowd") or "keypoints" not in entry:
            continue
        own = _id(entry, "id", where) if "id" in entry else None
        if own is not None and numbered.setdefault(own, i) != i:
            raise InputError(
                f"{where}: id={own}: is that of annotations[{numbered[own]}] too; give each its own"
            )
        image = _id(entry, "image_id", where)
        if image not in pictures:
            raise InputError(f"{where}: image_id={image}: is none of `images`; add the picture")
        points, visible = empty_points(len(names))
        at = places[kind]
        points[at], visible[at] = _points(entry["keypoints"], len(at), where)
        labelled = bool(visible.any())
        figures.append(
            Figure(
                pictures[image],
                points,
                visible,
                _box(entry.get("bbox"), where) if labelled else None,
                _area(entry.get("area"), where) if labelled else None,
                image,
                own,
                kind,
            )
        )
    return PointLabels(file, names, figures, edges)


def write_coco_results(
    file: Path,
    figures: Sequence[Figure],
    scores: Sequence[float],
    category_id: int = 1,
    order: Sequence[int] | None = None,
) -> None:
    """Write what `loadRes` of pycocotools reads: an entry per figure.

    It has no `bbox`: with one, pycocotools would measure the figure by it, not by its points.

    Args:
        file: Where to; replaced as a whole.
        figures: With `image_id`.
        scores: One per figure.
        category_id: Of figures that have none of their own.
        order: Numbers of the points in the order that the file is to have; None: as they are.

    Raises:
        InputError: A figure has no `image_id`, or the scores are not one finite number per figure.
    """
    if len(scores) != len(figures) or not all(math.isfinite(score) for score in scores):
        raise InputError(
            f"scores: must be one number per figure, {len(figures)} of them; give as many"
        )
    entries = []
    for figure, score in zip(figures, scores, strict=True):
        if figure.image_id is None:
            raise InputError(f"{figure.file}: has no image_id for COCO; write a CSV instead")
        points = np.nan_to_num(figure.points - 0.5)
        points[figure.visible == MISSING] = 0
        rows = np.column_stack([points, figure.visible]).round(4)[order or slice(None)]
        category = category_id if figure.category_id is None else figure.category_id
        entries.append(
            {
                "image_id": figure.image_id,
                "category_id": category,
                "keypoints": rows.flatten().tolist(),
                "score": float(score),
            }
        )
    write_bytes(file, json.dumps(entries).encode())


def write_coco_images(
    file: Path, image_ids: Mapping[Path, int], skeleton: Skeleton, category_id: int = 1
) -> None:
    """Write which picture has which number, as a COCO file without annotations.

    `COCO(file).loadRes(results)` of pycocotools reads the two together.
    """
    kind = {
        "id": category_id,
        "name": "figure",
        "keypoints": list(skeleton.names),
        "skeleton": [[first + 1, second + 1] for first, second in skeleton.edges],
    }
    images = [{"id": number, "file_name": name.as_posix()} for name, number in image_ids.items()]
    content = {"info": {}, "images": images, "annotations": [], "categories": [kind]}
    write_bytes(file, json.dumps(content, ensure_ascii=False, indent=1).encode())


def _categories(
    file: Path, entries: list[tuple[int, dict[str, Any]]]
) -> tuple[tuple[str, ...], dict[int, list[int]], tuple[tuple[int, int], ...]]:
    names: list[str] = []
    places: dict[int, list[int]] = {}
    edges: list[tuple[int, int]] = []
    for i, entry in entries:
        where = f"{file}: categories[{i}]"
        own = entry.get("keypoints")
        if own in (None, []):
            continue
        if not isinstance(own, list) or not all(isinstance(n, str) and n.strip() for n in own):
            raise InputError(f"{where}: keypoints must list names; name every point")
        own = [name.strip() for name in own]
        if len({*own}) < len(own):
            raise InputError(f"{where}: a point's name stands twice; give each its own")
        names += [name for name in own if name not in names]
        number = _id(entry, "id", where)
        if number in places:
            raise InputError(f"{where}: id={number}: is that of another too; give each its own")
        at = places[number] = [names.index(name) for name in own]
        lines = entry.get("skeleton") or []
        good = isinstance(lines, list) and all(
            isinstance(line, list) and len(line) == 2 and all(type(n) is int for n in line)
            for line in lines
        )
        start = 0 if good and any(0 in line for line in lines) else 1
        if not good or any(not start <= n < len(own) + start for line in lines for n in line):
            raise InputError(f"{where}: skeleton must join points 1 to {len(own)}; correct it")
        for a, b in lines:
            edge = (at[a - start], at[b - start])
            if edge not in edges and edge[0] != edge[1]:
                edges.append(edge)
    if not names:
        raise InputError(f"{file}: no category has keypoints; name them in `categories`")
    return tuple(names), places, tuple(edges)


def _chosen(
    file: Path, entries: list[dict[str, Any]], category: str | int | None
) -> list[tuple[int, dict[str, Any]]]:
    """The categories that count, with their places in the list."""
    numbered = [*enumerate(entries)]
    if category is None:
        return numbered
    found = [(i, e) for i, e in numbered if category in (e.get("name"), e.get("id"))]
    if not found:
        known = [str(entry.get("name", entry.get("id"))) for entry in entries]
        told = unknown("category", str(category), known)
        raise InputError(f"{file}: {told}")
    return found


def _points(value: object, count: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(value, list) or len(value) != 3 * count:
        given = len(value) if isinstance(value, list) else value
        raise InputError(
            f"{where}: keypoints must be 3 x {count} numbers, not {given}; x, y, visible per point"
        )
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        raise InputError(f"{where}: keypoints must be numbers; correct them")
    rows = [value[i : i + 3] for i in range(0, len(value), 3)]
    for i, (x, y, visible) in enumerate(rows):
        if visible not in (0, 1, 2):
            raise InputError(f"{where}: visible={visible} of point {i}: must be 0, 1 or 2; correct")
        if visible and not (abs(x) < FAR and abs(y) < FAR):
            raise InputError(
                f"{where}: point {i} lies at ({x}, {y}); write pixels, or visible 0 where missing"
            )
    visible = np.array([row[2] for row in rows]).astype(np.uint8)
    places = [row[:2] if row[2] else [math.nan, math.nan] for row in rows]
    return np.array(places, np.float64) + 0.5, visible


def _box(value: object, where: str) -> tuple[float, float, float, float] | None:
    if value in (None, []):
        return None
    if (
        not isinstance(value, list)
        or len(value) != 4
        or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value)
        or not all(abs(v) < FAR for v in value)
    ):
        raise InputError(f"{where}: bbox={value!r}: must be left, top, width, height; correct it")
    left, top, width, height = map(float, value)
    if not (width > 0 and height > 0):
        raise InputError(
            f"{where}: bbox={value}: has no area; give width and height above 0, or no bbox"
        )
    return left, top, width, height


def _area(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < FAR**2:
        raise InputError(f"{where}: area={value!r}: must be square pixels; correct or remove it")
    return float(value) or None


def _items(file: Path, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = content.get(key)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise InputError(f"{file}: has no list {key!r}; give a COCO file with {key}")
    return value


def _id(entry: dict[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if type(value) is not int:
        raise InputError(f"{where}: {key}={value!r}: must be a whole number; give one")
    return value
