"""Shapes of a label tool in a folder without a data.yaml, or in a file that is given alone.

Only what can mean nothing else is taken: COCO with segmentations and no keypoints, and labelme
with areas alone. All else may be points, see `points.discovery`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelwise.data.annotations.coco import is_coco
from pixelwise.data.annotations.labelme import is_labelme
from pixelwise.data.annotations.reading import read_json
from pixelwise.data.listing import is_hidden
from pixelwise.errors import InputError

AREAS = frozenset({"polygon", "rectangle", "circle", "mask"})
ASIDE = ("annotations", "labels")
"""Folders of files whose pictures lie beside them."""
SPLITS = {"train": ("train",), "val": ("valid", "val"), "test": ("test",)}


def describe_shapes(place: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """A file for messages, and what its data.yaml would be; None: no shapes, or not surely.

    Args:
        place: A JSON, or a folder with one, with one per split, or with labelme files.
    """
    if place.is_file():
        if place.suffix.lower() != ".json" or not _has_coco_shapes(place):
            return None
        beside = place.parent.name in ASIDE
        name = f"{place.parent.name}/{place.name}" if beside else place.name
        return place, _content(name, place.parent.parent if beside else place.parent)
    if not place.is_dir():
        return None
    below = [f for f in sorted(place.rglob("*.json")) if not is_hidden(f.relative_to(place))]
    found = [file for file in below if _has_coco_shapes(file)]
    if not found:
        drawn = _labelme_with_areas(below)
        return (below[0], _content(".", place)) if drawn else None
    names = [file.relative_to(place).as_posix() for file in found]
    if len(found) == 1:
        return found[0], _content(names[0], place)
    by_split = {_split(name): name for name in names}
    if "" in by_split or len(by_split) < len(found):
        return None
    content = _content({s: by_split[s] for s in SPLITS if s in by_split}, place)
    return found[0], {**content, **_folders(place, by_split)}


def _folders(place: Path, by_split: Mapping[str, str]) -> dict[str, str]:
    """Folders called like the ends of the files' names: instances_train2017.json, train2017."""
    there: dict[str, str] = {}
    for split, name in by_split.items():
        word = Path(name).stem.rpartition("_")[2]
        for folder in (word, f"images/{word}"):
            if (place / folder).is_dir():
                there.setdefault(split, folder)
    return there if there.keys() == by_split.keys() else {}


def _content(annotations: object, root: Path) -> Mapping[str, Any]:
    return {"path": str(root.absolute()), "annotations": annotations}


def _split(name: str) -> str:
    words = name.lower()
    return next((s for s, told in SPLITS.items() if any(word in words for word in told)), "")


def _has_coco_shapes(file: Path) -> bool:
    content = _parsed(file)
    if not is_coco(content):
        return False
    rows = content["annotations"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return False
    return any(row.get("segmentation") for row in rows) and not any(
        row.get("keypoints") for row in rows
    )


def _labelme_with_areas(files: list[Path]) -> bool:
    shapes = []
    for file in files:
        content = _parsed(file)
        if is_labelme(content):
            shapes += content["shapes"]
    kinds = [shape.get("shape_type") or "polygon" for shape in shapes if isinstance(shape, dict)]
    return bool(kinds) and all(isinstance(kind, str) and kind in AREAS for kind in kinds)


def _parsed(file: Path) -> Any:
    try:
        return read_json(file)
    except InputError:
        return None
