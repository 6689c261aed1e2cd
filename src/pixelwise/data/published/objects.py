"""PASCAL VOC, PASCAL-Context, ADE20K and COCO-Stuff."""

from pathlib import Path

from pixelwise.data.places import read_list
from pixelwise.data.published.layout import (
    Content,
    Layout,
    first,
    first_of,
    numbered,
    splits,
    table,
)
from pixelwise.errors import InputError

LISTS = "ImageSets/Segmentation"
AUG = f"{LISTS}/trainaug.txt|{LISTS}/train_aug.txt"
CONTEXT_MASKS = "SegmentationClassContext|59_context_labels"
CONTEXT_LISTS = {
    split: f"ImageSets/SegmentationContext/{split}.txt|ImageSets/Main/{split}.txt"
    for split in ("train", "val")
}
CONTEXT_NAMES = "59_labels.txt|59_context_labels/59_labels.txt"
COCO_PICTURES = "images/{0}2017|{0}2017"
COCO_MASKS = (
    "annotations/{0}2017|stuffthingmaps/{0}2017|stuffthingmaps_trainval2017/{0}2017"
    "|labels/{0}2017|annotations/stuffthingmaps/{0}2017"
)
COCO_SPLITS = ("train", "val")


def voc_palette(count: int) -> list[str]:
    """The colours of VOC: the bits of an id, three by three, become the high bits of a colour."""
    colours = []
    for i in range(count):
        parts = [
            sum((i >> 3 * place + band & 1) << 7 - place for place in range(8)) for band in range(3)
        ]
        colours.append("#{:02x}{:02x}{:02x}".format(*parts))
    return colours


def voc(root: Path) -> Content:
    """The lists of the challenge; the border has 255, which does not count."""
    return _voc("SegmentationClass", f"{LISTS}/train.txt")


def voc_aug(root: Path) -> Content:
    """The training pictures of VOC and of SBD together."""
    return _voc("SegmentationClassAug", first_of(root, AUG))


def _voc(masks: str, train: str) -> Content:
    names = [*table("voc").values()]
    return {
        "images": "JPEGImages",
        "masks_dir": masks,
        "train": train,
        "val": f"{LISTS}/val.txt",
        "names": names,
        "palette": voc_palette(len(names)),
    }


def context(root: Path) -> Content:
    """60 classes; 0 is the background."""
    return {**_context(root), **numbered({0: "background", **_context_names(root)}, 255)}


def context_59(root: Path) -> Content:
    """59 classes; 0 does not count."""
    return {**_context(root), **numbered(_context_names(root), 0, 255)}


def _context(root: Path) -> Content:
    lists = {split: first_of(root, places) for split, places in CONTEXT_LISTS.items()}
    return {"images": "JPEGImages", "masks_dir": first_of(root, CONTEXT_MASKS), **lists}


def _context_names(root: Path) -> dict[int, str]:
    """The authors' own masks are in another order than those that mmsegmentation converts."""
    if first_of(root, CONTEXT_MASKS) == "SegmentationClassContext":
        return table("pascal_context")
    place = first(root, CONTEXT_NAMES)
    if place is None:
        raise InputError(
            f"{root}: the masks of 59_context_labels need 59_labels.txt, which says what their"
            " values mean; put it beside them"
        )
    names: dict[int, str] = {}
    for number, line in read_list(root / place):
        value, _, name = line.partition(":")
        if not value.strip().isdecimal() or not name.strip():
            raise InputError(f"{root / place}, line {number}: must be like `1: aeroplane`; mend it")
        names[int(value)] = name.strip()
    return names


def ade20k(root: Path) -> Content:
    """150 classes; 0 is all others, which does not count."""
    return {
        "train": "images/training",
        "val": "images/validation",
        "masks_dir": "annotations",
        **numbered(table("ade20k"), 0),
    }


def coco_stuff(root: Path) -> Content:
    """171 classes: 80 of things and 91 of stuff; 255 does not count, and eleven ids are unused."""
    places = {
        split: (
            first_of(root, COCO_PICTURES.format(split)),
            first_of(root, COCO_MASKS.format(split)),
        )
        for split in COCO_SPLITS
    }
    content = {**splits(root, places), **numbered(table("coco_stuff"), 255)}
    train_ids = any((root / places["train"][1]).glob("*_labelTrainIds.png"))
    if train_ids:
        content |= {"masks": "*_labelTrainIds.png"}
        del content["map"]
    return content


LAYOUTS_HERE = {
    "voc": Layout(
        "PASCAL VOC 2012, 21 classes",
        ("JPEGImages", "SegmentationClass", f"{LISTS}/train.txt", f"{LISTS}/val.txt"),
        voc,
        without=("labelmap.txt",),
    ),
    "voc-aug": Layout(
        "PASCAL VOC 2012 with the pictures of SBD, 21 classes",
        ("JPEGImages", "SegmentationClassAug", AUG, f"{LISTS}/val.txt"),
        voc_aug,
    ),
    "pascal-context": Layout(
        "PASCAL-Context, 60 classes with background",
        ("JPEGImages", CONTEXT_MASKS, *CONTEXT_LISTS.values()),
        context,
    ),
    "pascal-context-59": Layout(
        "PASCAL-Context, 59 classes",
        ("JPEGImages", CONTEXT_MASKS, *CONTEXT_LISTS.values()),
        context_59,
    ),
    "ade20k": Layout(
        "ADE20K of the scene parsing challenge, 150 classes",
        ("images/training", "images/validation", "annotations/training", "annotations/validation"),
        ade20k,
    ),
    "coco-stuff": Layout(
        "COCO-Stuff 164k, 171 classes",
        tuple(
            places.format(split) for split in COCO_SPLITS for places in (COCO_PICTURES, COCO_MASKS)
        ),
        coco_stuff,
    ),
}
