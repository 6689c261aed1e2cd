"""LoveDA, Inria, WHU buildings, and the roads and buildings of Massachusetts."""

from pathlib import Path

from pixelwise.data.published.layout import (
    Content,
    Layout,
    first_of,
    numbered,
    splits,
    two_values,
)

LOVEDA = {
    1: ("background", "#ffffff"), 2: ("building", "#ff0000"), 3: ("road", "#ffff00"),
    4: ("water", "#0000ff"), 5: ("barren", "#9f81b7"), 6: ("forest", "#00ff00"),
    7: ("agricultural", "#ffc380"),
}  # fmt: skip
AREAS = ("Rural", "Urban")
LOVEDA_NEEDS = tuple(
    f"{split}/{area}/{kind}|{split}/{split}/{area}/{kind}"
    for split in ("Train", "Val")
    for area in AREAS
    for kind in ("images_png", "masks_png")
)
INRIA_VAL = "train/images/*[a-z][1-5].tif"
INRIA_TRAIN = ["train/images/*[a-z][6-9].tif", "train/images/*[0-9][0-9].tif"]
WHU_PICTURES, WHU_MASKS = "{0}/image|{0}/Image|{0}/images", "{0}/label|{0}/Label|{0}/mask|{0}/Mask"
SPLITS = ("train", "val", "test")
MASSACHUSETTS = {
    split: (
        f"tiff/{split}|{theirs}/sat|png/{split}",
        f"tiff/{split}_labels|{theirs}/map|png/{split}_labels",
    )
    for split, theirs in (("train", "train"), ("val", "valid"), ("test", "test"))
}


def loveda(root: Path) -> Content:
    """Rural and urban pictures; 0 is no data, which does not count."""
    places = {
        split.lower(): [
            first_of(root, f"{split}/{area}/images_png|{split}/{split}/{area}/images_png")
            for area in AREAS
        ]
        for split in ("Train", "Val")
    }
    names = {value: name for value, (name, _) in LOVEDA.items()}
    return {
        **places,
        "masks_dir": {"images_png": "masks_png"},
        **numbered(names, 0),
        "palette": [colour for _, colour in LOVEDA.values()],
    }


def inria(root: Path) -> Content:
    """The first five pictures of each city are val, as its authors say; test has no masks."""
    content: Content = {"train": INRIA_TRAIN, "val": INRIA_VAL}
    if not any(root.glob(INRIA_VAL)) or not any(root.glob(INRIA_TRAIN[1])):
        content = {"train": "train/images", "split": {"val": 0.2, "seed": 0}}
    return {**content, "masks_dir": {"train/images": "train/gt"}, **two_values("building")}


def whu(root: Path) -> Content:
    """Aerial or satellite tiles of the WHU building data set."""
    places = {}
    for split in SPLITS:
        pair = (_there(root, WHU_PICTURES.format(split)), _there(root, WHU_MASKS.format(split)))
        places[split] = pair
    return {**splits(root, places), **two_values("building")}


def massachusetts_buildings(root: Path) -> Content:
    """Buildings are red, or white."""
    return _massachusetts(root, "building")


def massachusetts_roads(root: Path) -> Content:
    """Roads are white."""
    return _massachusetts(root, "road")


def _massachusetts(root: Path, name: str) -> Content:
    places = {
        split: (_there(root, pictures), _there(root, masks))
        for split, (pictures, masks) in MASSACHUSETTS.items()
    }
    colours = {"#000000": 0, "#ff0000": 1, "#ffffff": 1}
    content = two_values(name)
    return {**splits(root, places), **content, "map": {**content["map"], **colours}}


def _there(root: Path, alternatives: str) -> str:
    found = [place for place in alternatives.split("|") if (root / place).is_dir()]
    return (found or alternatives.split("|"))[0]


LAYOUTS_HERE = {
    "loveda": Layout("LoveDA, 7 classes", LOVEDA_NEEDS, loveda),
    "inria": Layout("Inria aerial images, buildings", ("train/images", "train/gt"), inria),
    "whu": Layout(
        "WHU buildings",
        tuple(p.format(s) for s in ("train", "val") for p in (WHU_PICTURES, WHU_MASKS)),
        whu,
        without=("_classes.csv", "train/_classes.csv"),
    ),
    "massachusetts-buildings": Layout(
        "buildings of Massachusetts",
        (*MASSACHUSETTS["train"], *MASSACHUSETTS["val"]),
        massachusetts_buildings,
    ),
    "massachusetts-roads": Layout(
        "roads of Massachusetts",
        (*MASSACHUSETTS["train"], *MASSACHUSETTS["val"]),
        massachusetts_roads,
    ),
}
