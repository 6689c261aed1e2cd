"""Masks that label tools export: Roboflow's semantic masks, and CVAT's segmentation mask 1.1."""

import csv
from pathlib import Path

from pixelwise.data.annotations.config import AnnotatedConfig
from pixelwise.data.annotations.discovery import describe_shapes
from pixelwise.data.class_table import VOID
from pixelwise.data.classes import parse_colour
from pixelwise.data.places import read_list
from pixelwise.data.published.layout import Content, Layout
from pixelwise.errors import InputError

ROBOFLOW = {"train": "train", "val": "valid", "test": "test"}
LISTS = "ImageSets/Segmentation"


def roboflow(root: Path) -> Content:
    """A table `Pixel Value, Class` in each split, and masks beside the pictures."""
    there = {s: f for s, f in ROBOFLOW.items() if (root / f / "_classes.csv").is_file()}
    tables = {split: _classes(root / folder / "_classes.csv") for split, folder in there.items()}
    for split, other in tables.items():
        if other != tables["train"]:
            raise InputError(
                f"{root / there[split]}/_classes.csv: has other classes than that of train; export"
                " all splits at once"
            )
    content: Content = {**there, "masks_dir": {folder: folder for folder in there.values()}}
    content["masks"] = "*_mask.png"
    if "val" not in there:
        content["split"] = {"val": 0.2, "seed": 0}
    return {
        **content,
        "names": [*tables["train"].values()],
        "map": {value: i for i, value in enumerate(tables["train"])},
    }


def _classes(file: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for number, line in read_list(file):
        value, *name = (cell.strip() for cell in next(csv.reader([line])))
        if value.lower() == "pixel value":
            continue
        if not value.isdecimal() or len(name) != 1 or int(value) in found:
            raise InputError(
                f"{file}, line {number}: {line!r}: must be a new value and its class; correct it"
            )
        found[int(value)] = name[0]
    return found


def cvat(root: Path) -> Content:
    """Colours from labelmap.txt; one list, or one per split."""
    lists = sorted(file.name for file in (root / LISTS).glob("*.txt"))
    by_split = {
        s: f"{LISTS}/{name}" for s in ("train", "val", "test") if (name := f"{s}.txt") in lists
    }
    content: Content = {"images": "JPEGImages", "masks_dir": "SegmentationClass"}
    if by_split:
        content.update(by_split)
    else:
        content["train"] = [f"{LISTS}/{name}" for name in lists]
    if "val" not in by_split:
        content["split"] = {"val": 0.2, "seed": 0}
    if not (root / "JPEGImages").is_dir():
        raise InputError(
            f"{root}: has no JPEGImages; export once more with images saved, or put them there"
        )
    colours = _labelmap(root / "labelmap.txt")
    names = [name for name in colours if name.lower() not in VOID]
    # CVAT numbers nothing: a mask is of colours, or of a palette with these colours.
    return {
        **content,
        "names": names,
        "palette": [colours[name] for name in names],
        "map": {
            colour: names.index(name) if name in names else "ignore"
            for name, colour in colours.items()
        },
    }


def polygons(root: Path) -> Content:
    """Files of a label tool, read where they are."""
    found = describe_shapes(root)
    if found is None:
        raise InputError(
            f"{root}: its JSON files are not surely polygons of COCO or labelme; write a data.yaml"
            " with `annotations:`, or with `labels:` for points"
        )
    names = AnnotatedConfig.of(*found).classes.names
    told = {key: value for key, value in found[1].items() if key != "path"}
    return {**told, "names": [*names]}


def _labelmap(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in read_list(file):
        name, _, rest = line.partition(":")
        try:
            colour = parse_colour([int(part) for part in rest.split(":")[0].split(",")])
        except ValueError:
            raise InputError(
                f"{file}, line {number}: {line!r}: must be like `person:128,0,0::`; correct it"
            ) from None
        code = "#{:02x}{:02x}{:02x}".format(*colour)
        if code in found.values() or name in found:
            raise InputError(
                f"{file}, line {number}: {name!r} or its colour occurs twice; give each its own"
            )
        found[name] = code
    return found


LAYOUTS_HERE = {
    "roboflow": Layout("semantic masks of Roboflow", ("train/_classes.csv",), roboflow),
    "cvat": Layout(
        "segmentation mask 1.1 of CVAT",
        ("labelmap.txt", "SegmentationClass", f"{LISTS}/*.txt"),
        cvat,
    ),
    "polygons": Layout(
        "polygons of COCO or labelme",
        ("*.json|annotations/*.json|labels/*.json|train/*.json",),
        polygons,
        loose=True,
    ),
}
