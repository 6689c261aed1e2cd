"""One door to the files of label tools: their content decides which tool wrote them."""

import json
from pathlib import Path
from typing import Any

from pixelwise.data.annotations.coco import is_coco, read_coco
from pixelwise.data.annotations.label_studio import is_label_studio, read_label_studio
from pixelwise.data.annotations.labelme import is_labelme, read_labelme
from pixelwise.data.annotations.shapes import Drawn
from pixelwise.data.annotations.supervisely import is_supervisely, read_supervisely
from pixelwise.data.annotations.yolo import read_yolo
from pixelwise.data.listing import is_hidden
from pixelwise.errors import InputError

NO_SHAPES = frozenset({"classes.txt", "requirements.txt", "readme.txt"})
"""Text files beside those of YOLO."""
KNOWN = "COCO, labelme, Label Studio, Supervisely or YOLO"


def read_annotations(place: Path) -> Drawn:
    """What a file or a folder of a label tool holds.

    Raises:
        InputError: Nothing there, no tool that is known, or something wrong in a file.
    """
    if place.is_dir():
        return _folder(place)
    if not place.is_file():
        raise InputError(f"{place}: no such file or folder; check `annotations:`")
    if place.suffix.lower() != ".json":
        raise InputError(f"{place}: is no JSON; give a file of {KNOWN}, or a folder of them")
    content = read_json(place)
    if is_coco(content):
        return read_coco(place, content)
    if is_label_studio(content):
        return read_label_studio(place, content)
    if is_labelme(content):
        return read_labelme(place, [(place, content)])
    raise InputError(f"{place}: is not of {KNOWN}; export it in one of these formats")


def read_json(file: Path) -> Any:
    """The content of a JSON, without the copy of the picture that labelme may keep in it.

    Raises:
        InputError: It is none.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{file}: is no JSON ({reason}); export it again") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    if isinstance(content, dict):
        content.pop("imageData", None)
    return content


def _folder(place: Path) -> Drawn:
    inside = sorted(
        file
        for file in place.rglob("*")
        if file.is_file() and not is_hidden(file.relative_to(place))
    )
    texts = [f for f in inside if f.suffix.lower() == ".txt" and f.name.lower() not in NO_SHAPES]
    meta = next((file for file in inside if file.name == "meta.json"), None)
    jsons = [file for file in inside if file.suffix.lower() == ".json"]
    if texts and not jsons:
        return read_yolo(place, texts)
    contents = [(file, read_json(file)) for file in jsons]
    objects = [(file, c) for file, c in contents if is_supervisely(c) and file.parent.name == "ann"]
    if objects:
        told = None if meta is None else read_json(meta)
        return read_supervisely(place, objects, told if isinstance(told, dict) else None)
    shapes = [(file, content) for file, content in contents if is_labelme(content)]
    if shapes:
        return read_labelme(place, shapes)
    for file, content in contents:
        if is_coco(content) or is_label_studio(content):
            raise InputError(
                f"{place}: is a folder; write the file in it, e.g. annotations: {file.name}"
            )
    raise InputError(f"{place}: holds no file of {KNOWN}; check the folder")
