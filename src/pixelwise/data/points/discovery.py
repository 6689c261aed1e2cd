"""Labels of points in a folder without a data.yaml, or in a file that is given alone."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.data.listing import is_hidden
from pixelwise.data.points.deeplabcut import HEADS
from pixelwise.data.points.plain import COLUMNS
from pixelwise.data.points.reading import parsed
from pixelwise.data.points.sharing import in_order
from pixelwise.data.points.text import read_rows, read_text
from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.errors import InputError

DEEPLABCUT = "labeled-data/*/CollectedData*.csv"
ASIDE = frozenset({"annotations", "labels"})
"""Folders of labels whose pictures lie beside them."""


def describe(place: Path) -> tuple[Path, Mapping[str, Any], Path] | None:
    """What a data.yaml for these labels would be: its file for messages, content, and root.

    Args:
        place: A file of labels; or a folder with a DeepLabCut project, one file of labels, or
            labelme files. None is returned where a folder holds nothing of these.

    Raises:
        InputError: A folder may mean several things, or a JSON in it is damaged.
    """
    if place.is_file():
        root = place.parent
        if root.parent.name == "labeled-data" and (root.parent.parent / "config.yaml").is_file():
            return place, {"labels": place.name, **_skeleton(root.parent.parent, place)}, root
        beside = root.absolute().name in ASIDE and not _has_picture(root)
        named = f"{root.absolute().name}/{place.name}" if beside else place.name
        return place, {"labels": glob.escape(named)}, root.absolute().parent if beside else root
    project = sorted((f.relative_to(place) for f in place.glob(DEEPLABCUT)), key=in_order)
    if project:
        return _project(place, project)
    found = _candidates(place)
    if len(found) > 1:
        listed = ", ".join(str(file.relative_to(place.parent)) for file in found[:6])
        raise InputError(
            f"{place}: may be described by {listed}; give one of them as --data, or name those that"
            " are meant in a data.yaml, `labels: [...]`"
        )
    if not found:
        return None
    if found[0].is_dir():
        return place, {"labels": "."}, place
    return describe(found[0])


def is_points_table(file: Path) -> bool:
    """Whether the header of a CSV is that of labelled points.

    Raises:
        InputError: No text.
    """
    heads = [cell.lower() for cell in read_rows(file, read_text(file))[0][1]]
    return heads[0] in HEADS or {*COLUMNS} <= {*heads}


def _project(folder: Path, names: list[Path]) -> tuple[Path, Mapping[str, Any], Path]:
    """All CollectedData files of a DeepLabCut project; of its scorer where there are several."""
    config = _config(folder)
    scorer = str(config.get("scorer", ""))
    of: dict[Path, list[Path]] = {}
    for name in names:
        of.setdefault(name.parent, []).append(name)
    chosen: list[Path] = []
    for several in of.values():
        own = [name for name in several if name.name == f"CollectedData_{scorer}.csv"]
        if len(several) > 1 and len(own) != 1:
            listed = " and ".join(str(folder / name) for name in several)
            raise InputError(
                f"{folder}: has labels of several people, {listed}; name those that are meant in a"
                " data.yaml, `labels: [...]`, and others as `repeated:`"
            )
        chosen += own if len(several) > 1 else several
    file = folder / "config.yaml"
    content = {"labels": [glob.escape(name.as_posix()) for name in chosen]}
    told = _bodyparts(config)
    parts = {"points": told} if told else {}
    return (
        file if file.is_file() else folder,
        {**content, **parts, **_skeleton(folder, folder / chosen[0])},
        folder,
    )


def _config(folder: Path) -> Mapping[Any, Any]:
    file = folder / "config.yaml"
    return yaml_files.read(file) if file.is_file() else {}


def _bodyparts(config: Mapping[Any, Any]) -> list[str]:
    """The points that a project's config.yaml names."""
    keys = ("bodyparts", "multianimalbodyparts", "uniquebodyparts")
    lists = [value for key in keys if isinstance(value := config.get(key), list)]
    return list(dict.fromkeys(str(name) for value in lists for name in value))


def _skeleton(folder: Path, labels: Path) -> Mapping[str, Any]:
    """Lines that a project's config.yaml draws, between points that its labels have.

    DeepLabCut writes an example with other names into every new project.
    """
    lines = _config(folder).get("skeleton")
    rows = read_rows(labels, read_text(labels))
    parts = next((cells for _, cells in rows if cells[0].lower() == "bodyparts"), [])
    known = [
        [str(name) for name in line]
        for line in (lines if isinstance(lines, list) else [])
        if isinstance(line, list) and len(line) == 2 and all(str(n) in parts for n in line)
    ]
    return {"skeleton": known} if known else {}


def _candidates(folder: Path) -> list[Path]:
    """Files of labels in a folder; the folder itself stands for labelme files in it."""
    beside = sorted(file for file in folder.iterdir() if file.is_file())
    tables = [f for f in beside if f.suffix.lower() == ".csv" and is_points_table(f)]
    kinds = {file: _kind(file) for file in beside if file.suffix.lower() == ".json"}
    coco = [file for file, kind in kinds.items() if kind == "coco"]
    if tables or coco or "labelme" in kinds.values():
        return [*tables, *coco, *[folder] * ("labelme" in kinds.values())]
    below = (f for f in sorted(folder.rglob("*.json")) if not is_hidden(f.relative_to(folder)))
    return [folder] if any(_kind(file) == "labelme" for file in below) else []


def _kind(file: Path) -> str:
    text = read_text(file)
    if text.lstrip()[0] != "{":
        return ""
    content = parsed(file, text)
    if "shapes" in content:
        return "labelme"
    return "coco" if {"images", "annotations"} <= content.keys() else ""


def _has_picture(folder: Path) -> bool:
    return any(file.suffix.lower() in PICTURE_SUFFIXES for file in folder.rglob("*"))
