"""The data.yaml of YOLO: `train: images/train`, labels in `labels/train`, names without background.

Read as it is, where a folder of labels with .txt files lies in place of one of masks.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pixelwise.data.config import SPLITS
from pixelwise.errors import InputError

OWN = frozenset({"nc", "download", "roboflow", "kpt_shape", "flip_idx", "channels"})
"""Keys that only YOLO has."""
KNOWN = OWN | {"path", "names", *SPLITS}
AROUND = ("background", "no class")
"""The name of what is outside of all polygons: the first that is no class."""


def from_ultralytics(file: Path, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """What our data.yaml would say; None: the file is none of YOLO.

    Raises:
        InputError: It is, but its folders are not there, or it is not for masks.
    """
    own = OWN & content.keys()
    if not own and not content.keys() <= KNOWN:
        return None
    if "kpt_shape" in content:
        raise InputError(f"{file}: kpt_shape: is of YOLO's points, which are not read; use COCO's")
    try:
        root, places = _places(file, content)
    except (OSError, ValueError):  # a name that no file can have, which others tell
        return None
    labels = {split: _labels(place) for split, place in places.items()}
    there = {s: f for s, f in labels.items() if any((root / f).rglob("*.txt"))}
    if not there or (not own and any(_has_masks(root, places[split]) for split in there)):
        if own:
            raise InputError(
                f"{file}: is a data.yaml of YOLO ({sorted(own)[0]}), but there are no .txt files in"
                f" {root / next(iter(labels.values()), 'labels')}; check its paths"
            )
        return None
    names = content.get("names")
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise InputError(f"{file}: names: must number the classes from 0; leave none out")
        numbered = {str(key): name for key, name in names.items()}
        names = [numbered[str(i)] for i in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise InputError(f"{file}: names={names!r}: must list the classes; write them")
    around = next(name for name in AROUND if name not in names)
    return {
        "path": str(root.absolute()),
        **{split: places[split] for split in there},
        "annotations": there,
        "names": [around, *map(str, names)],
        "background": around,
    }


def _places(file: Path, content: Mapping[str, Any]) -> tuple[Path, dict[str, str]]:
    """The folder of the data set, and those of the pictures; some exports have a ".." too many."""
    told = content.get("path")
    roots = [file.parent / told] if isinstance(told, str) else []
    roots.append(file.parent)
    for root in roots:
        for cut in ("", "../"):
            places = {
                split: place.removeprefix(cut)
                for split in SPLITS
                if isinstance(place := content.get(split), str)
            }
            if places and any((root / place).is_dir() for place in places.values()):
                return root, {s: p for s, p in places.items() if (root / p).is_dir()}
    return roots[0], {}


def _labels(place: str) -> str:
    parts = [*PurePosixPath(place).parts]
    at = max((i for i, part in enumerate(parts) if part == "images"), default=None)
    if at is not None:
        parts[at] = "labels"
    return str(PurePosixPath(*parts))


def _has_masks(root: Path, place: str) -> bool:
    return (root / _labels(place).replace("labels", "masks")).is_dir()
