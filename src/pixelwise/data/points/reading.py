"""One door to every file of labelled points: its content tells what it is, not its name."""

import json
from pathlib import Path
from typing import Any

from pixelwise.data.listing import is_hidden
from pixelwise.data.points.coco import read_coco
from pixelwise.data.points.deeplabcut import HEADS, read_deeplabcut
from pixelwise.data.points.labelme import read_labelme
from pixelwise.data.points.labels import PointLabels
from pixelwise.data.points.plain import read_plain
from pixelwise.data.points.text import read_rows, read_text
from pixelwise.errors import InputError


def read_points(where: str | Path, category: str | int | None = None) -> PointLabels:
    """The labelled points of a file, or of a folder of labelme files.

    Args:
        where: COCO keypoints JSON, DeepLabCut's CollectedData CSV, labelme JSON, or a CSV with
            the columns file,name,x,y[,visible].
        category: Which figures of a COCO file count, by name or id; None: all.

    Raises:
        InputError: No such file, none of these, or something in it is wrong.
    """
    file = Path(where)
    text = "" if file.is_dir() else read_text(file)
    is_json = text.lstrip()[:1] in ("{", "[")
    content = parsed(file, text) if is_json else {}
    if "annotations" in content and "shapes" not in content:
        return read_coco(file, content, category)
    if category is not None:
        raise InputError(f"{file}: category={category!r}: is for COCO files; remove it")
    if file.is_dir():
        return _read_folder(file)
    if "shapes" in content:
        return read_labelme(file, [(file, content)])
    if is_json:
        raise InputError(
            f"{file}: has neither 'annotations' nor 'shapes'; give COCO keypoints or labelme JSON"
        )
    rows = read_rows(file, text)
    if rows[0][1][0].lower() in HEADS:
        return read_deeplabcut(file, rows)
    return read_plain(file, rows)


def _read_folder(folder: Path) -> PointLabels:
    files = sorted(
        file for file in folder.rglob("*.json") if not is_hidden(file.relative_to(folder))
    )
    contents = [(file, parsed(file, read_text(file))) for file in files]
    labelled = [(file, content) for file, content in contents if "shapes" in content]
    if not labelled:
        raise InputError(f"{folder}: has no labelme JSON in it; give a file of labels")
    return read_labelme(folder, labelled)


def parsed(file: Path, text: str) -> dict[str, Any]:
    """The content of a JSON file.

    Raises:
        InputError: Not JSON, or not a mapping.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file}, line {error.lineno}: not whole JSON ({error.msg}); copy or save it again"
        ) from None
    except (RecursionError, ValueError) as error:
        told = " ".join(str(error).split())[:80]
        raise InputError(f"{file}: cannot be read as JSON ({told}); save it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: is a list; give the labels, not the results of a network")
    return content
