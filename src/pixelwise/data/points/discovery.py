"""Labels of points in a folder without a data.yaml, or in a file that is given alone."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.data.listing import is_hidden
from pixelwise.data.points.deeplabcut import HEADS
from pixelwise.data.points.finding import pictures_below
from pixelwise.data.points.plain import COLUMNS
from pixelwise.data.points.reading import parsed
from pixelwise.data.points.sharing import in_order
from pixelwise.data.points.text import read_rows, read_text
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
        InputError: A folder may mean several things, a JSON in it is damaged, or a project has
            no CSV.
    """
    if place.is_file():
        root = place.parent
        config = root.parent.parent / "config.yaml"
        if root.parent.name == "labeled-data" and config.is_file():
            return (
                place,
                {"labels": glob.escape(place.name), **_told(yaml_files.read(config))},
                root,
            )
        beside = root.absolute().name in ASIDE and not pictures_below(root)
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
            " are meant in a data.yaml, `labels: [...]` or `labels: {train: ..., val: ...}`"
        )
    if not found:
        tables = next(place.glob("labeled-data/*/CollectedData*.h5"), None)
        if tables is not None:
            raise InputError(
                f"{tables}: HDF5 is not read; write the CSV that DeepLabCut keeps beside it, as"
                " pandas.read_hdf(FILE).to_csv(FILE.csv) does"
            )
        return None
    if found[0].is_dir():
        return place, {"labels": "."}, place
    return describe(found[0])


def is_points_table(file: Path) -> bool:
    """Whether the header of a CSV is that of labelled points.

    Raises:
        InputError: No text.
    """
    heads = _heads(file)
    return heads[0] in HEADS or {*COLUMNS} <= {*heads}


def is_class_table(file: Path) -> bool:
    """Whether the header of a CSV has colours of classes."""
    return file.name == "classes.csv" or bool({"r", "g", "b"} & {*_heads(file)})


def _heads(file: Path) -> list[str]:
    return [cell.lower() for cell in read_rows(file, read_text(file))[0][1]]


def _project(folder: Path, names: list[Path]) -> tuple[Path, Mapping[str, Any], Path]:
    """All CollectedData files of a DeepLabCut project; of its scorer where there are several."""
    file = folder / "config.yaml"
    config = yaml_files.read(file) if file.is_file() else {}
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
    content = {"labels": [glob.escape(name.as_posix()) for name in chosen], **_told(config)}
    return (file if config else folder), content, folder


def _told(config: Mapping[Any, Any]) -> Mapping[str, Any]:
    """The points that a project's config.yaml names, and the lines it draws between them.

    DeepLabCut writes an example with other names into every new project: those lines do not count.
    """
    keys = ("bodyparts", "multianimalbodyparts", "uniquebodyparts")
    lists = [value for key in keys if isinstance(value := config.get(key), list)]
    names = list(dict.fromkeys(str(name) for value in lists for name in value))
    given = config.get("skeleton")
    lines = [
        [str(name) for name in line]
        for line in (given if isinstance(given, list) else [])
        if isinstance(line, list) and len({*map(str, line)} & {*names}) == len(line) == 2
    ]
    return {**({"points": names} if names else {}), **({"skeleton": lines} if lines else {})}


def _candidates(folder: Path) -> list[Path]:
    """Files of labels in a folder; the folder itself stands for labelme files in it.

    Raises:
        InputError: A JSON is damaged; or there are no labels, and a CSV cannot be read.
    """
    aside = [folder / name for name in ASIDE]
    beside = sorted(f for place in (folder, *aside) for f in place.glob("*") if f.is_file())
    below = (f for f in sorted(folder.rglob("*.json")) if not is_hidden(f.relative_to(folder)))
    found, wrong = [], []
    for file in beside:
        try:
            kind = _kind(file)
        except InputError as error:
            if file.suffix.lower() == ".json":
                raise
            wrong.append(error)  # a table of something else, perhaps
            continue
        place = folder if kind == "labelme" else file
        if kind and place not in found:
            found.append(place)
    if not found and wrong:
        raise wrong[0]
    return found or [folder for file in below if _kind(file) == "labelme"][:1]


def _kind(file: Path) -> str:
    """What labels a file holds: "table", "coco", "labelme", or none."""
    suffix = file.suffix.lower()
    if suffix == ".csv":
        return "table" if is_points_table(file) else ""
    if suffix != ".json" or (text := read_text(file)).lstrip()[0] != "{":
        return ""
    content = parsed(file, text)
    if "shapes" in content:
        return "labelme"
    return "coco" if {"images", "annotations"} <= content.keys() else ""
