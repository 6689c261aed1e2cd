"""Cityscapes and CamVid."""

import csv
from pathlib import Path

from pixelwise.data.class_table import VOID
from pixelwise.data.classes import Colour, parse_colour
from pixelwise.data.layouts import LAYOUTS
from pixelwise.data.places import read_list
from pixelwise.data.published.layout import Content, Layout, first, splits
from pixelwise.errors import InputError

CAMVID = {
    "sky": "#808080", "building": "#800000", "pole": "#c0c080", "road": "#804080",
    "pavement": "#3c28de", "tree": "#808000", "sign": "#c08080", "fence": "#404080",
    "car": "#400080", "pedestrian": "#404000", "bicyclist": "#0080c0",
}  # fmt: skip
"""The eleven classes of SegNet's arrangement, in the order of their values."""
CAMVID_SPLITS = {split: (split, f"{split}annot") for split in ("train", "val", "test")}
COLOURS = "class_dict.csv|label_colors.txt"
PICTURES = "701_StillsRaw_full|images|raw"
MASKS = "LabeledApproved_full|labels|labeled|masks"


def cityscapes(root: Path) -> Content:
    """The nineteen classes that count, from labelIds; the masks of test are empty, so left out."""
    known = dict(LAYOUTS["cityscapes"])
    del known["test"]
    return known


def camvid(root: Path) -> Content:
    """SegNet's arrangement: masks of 0..11, of which 11 is void."""
    void = {value: value for value in range(len(CAMVID))} | {len(CAMVID): "ignore"}
    return {
        **splits(root, CAMVID_SPLITS),
        "names": [*CAMVID],
        "palette": [*CAMVID.values()],
        "map": void,
    }


def camvid_colours(root: Path) -> Content:
    """The 32 colours of the table beside; what it calls Void does not count.

    Without folders of splits, a fifth of the pictures is val; the sequences stay together.
    """
    colours = _colours(root / str(first(root, COLOURS)))
    names = [name for name in colours if name.lower() not in VOID]
    shown = {name: "#{:02x}{:02x}{:02x}".format(*colours[name]) for name in colours}
    meaning = {shown[name]: names.index(name) if name in names else "ignore" for name in colours}
    pairs = {split: (split, f"{split}_labels") for split in ("train", "val", "test")}
    whole = (str(first(root, PICTURES)), str(first(root, MASKS)))
    if not (root / "train_labels").is_dir():
        pairs = {"train": whole}
    content = splits(root, pairs)
    if "val" not in content:
        content["split"] = {"val": 0.2, "by": "*_*", "seed": 0}
    suffix = any(any((root / masks).glob("*_L.png")) for _, masks in pairs.values())
    return {
        **content,
        **({"masks": "*_L.png"} if suffix else {}),
        "names": names,
        "palette": [shown[name] for name in names],
        "map": meaning,
    }


def _colours(file: Path) -> dict[str, Colour]:
    """Name -> colour, from a table `name,r,g,b` or from lines `r g b name`."""
    found: dict[str, Colour] = {}
    is_table = file.suffix == ".csv"
    for number, line in read_list(file):
        cells = next(csv.reader([line])) if is_table else line.split(maxsplit=3)
        name, *values = cells if is_table else [cells[-1], *cells[:-1]]
        if is_table and [cell.strip().lower() for cell in values] == ["r", "g", "b"]:
            continue
        try:
            colour = parse_colour([int(value) for value in values])
        except ValueError:
            shape = "name,r,g,b" if is_table else "r g b name"
            raise InputError(
                f"{file}, line {number}: {line!r} is no colour with its name; write {shape}"
            ) from None
        if found.setdefault(name.strip(), colour) != colour:
            raise InputError(f"{file}, line {number}: {name.strip()!r} occurs twice; keep one")
    return found


LAYOUTS_HERE = {
    "cityscapes": Layout(
        "Cityscapes, 19 classes of gtFine",
        ("leftImg8bit/train", "leftImg8bit/val", "gtFine/train", "gtFine/val"),
        cityscapes,
    ),
    "camvid": Layout(
        "CamVid in SegNet's arrangement, 11 classes", ("train", "trainannot", "val", "valannot"),
        camvid,
    ),
    "camvid-colours": Layout(
        "CamVid as published, classes by colour",
        (COLOURS, f"train|{PICTURES}", f"train_labels|{MASKS}"),
        camvid_colours,
        without=("trainannot",),
    ),
}  # fmt: skip
