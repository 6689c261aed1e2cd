"""data.yaml of a data set whose masks are drawn in a label tool.

annotations: labels.json                 # or {train: a.json, val: b.json}; a file or a folder
train: train/images                      # folders of pictures, or .txt lists of their names
split: {val: 0.2, by: folder, seed: 0}   # without train and val
names: [background, roof, tree]          # by default background and the labels of the tool
background: background                   # the class outside of all shapes, or ignore
map: {tile roof: roof, unsure: ignore}   # label -> class
overlap: area                            # small shapes on top; order: later ones on top
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.checks import one_of
from pixelwise.data import config as masks
from pixelwise.data import keys
from pixelwise.data.annotations.reading import read_annotations
from pixelwise.data.annotations.shapes import Drawn
from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.data.classes import Classes, default_palette, several
from pixelwise.data.places import fixed_part, is_list
from pixelwise.data.splitting import Shares
from pixelwise.errors import InputError, suggestion, unknown

KEYS = (
    "path", "train", "val", "test", "annotations", "names", "background", "map", "overlap",
    "palette", "ignore_index", "split", "images", "bands", "scale", "nodata", "max_megapixels",
)  # fmt: skip
BACKGROUND = "background"
OWN = {"_background_": BACKGROUND, "__ignore__": "ignore"}
"""Labels that labelme reserves."""


@dataclass(frozen=True, eq=False)
class AnnotatedConfig:
    """A checked data.yaml with annotations, and the files that it names.

    Args:
        file: The file that states all this; error messages name it.
        path: The folder that all places are relative to.
        classes: The names, their colours, and the ignore index.
        drawn: Per split; under "all", what is drawn in the pictures of all splits.
        ids: Label -> class id or ignore index.
        background: What stands outside of all shapes.
        places: Split -> folders or lists of pictures; empty where there are none.
        images: A folder in which pictures are looked for; None: `path`.
        shares: How pictures are shared out; None: by `places` or by files.
        by_area: Small shapes lie on top; None: as is usual for the tool.
        bands: Which bands of the pictures to read, counted from 0; None: all.
        scale: The raw value that means 1.0; None: by the pictures' type.
        nodata: Values of the pictures that mean "no data", beside what their files say.
        max_megapixels: Larger pictures are refused, unless they are TIFFs.
    """

    file: Path
    path: Path
    classes: Classes
    drawn: Mapping[str, Drawn]
    ids: Mapping[str, int]
    background: int
    places: Mapping[str, tuple[str, ...]]
    images: str | None = None
    shares: Shares | None = None
    by_area: bool | None = None
    bands: tuple[int, ...] | None = None
    scale: float | None = None
    nodata: tuple[float, ...] = ()
    max_megapixels: float = MAX_MEGAPIXELS

    @classmethod
    def load(cls, path: str | Path) -> "AnnotatedConfig":
        """Read and check a data.yaml and the annotations that it names.

        Raises:
            InputError: See `of`.
        """
        file = Path(path)
        return cls.of(file, yaml_files.read(file, "write at least annotations"))

    @classmethod
    def of(cls, file: Path, content: Mapping[str, Any]) -> "AnnotatedConfig":
        """Check what a data.yaml says.

        Raises:
            InputError: A key is unknown or its value wrong, a label is no class, or a file of
                annotations is missing or wrong.
        """
        with keys.told_with(file):
            for key in content:
                if key not in KEYS:
                    raise unknown("key", str(key), KEYS)
            return _build(file, content)


def _build(file: Path, content: Mapping[str, Any]) -> AnnotatedConfig:
    root = keys.root(file, content)
    places = {
        split: (place,) if isinstance(place, str) else place
        for split in masks.SPLITS
        if (place := masks.places(content, split)) is not None
    }
    drawn = _drawn(content.get("annotations"), root)
    lacking = [split for split in places if "all" not in drawn and split not in drawn]
    if lacking:
        raise InputError(f"annotations: has no file for {lacking[0]!r}; add one")
    shares = Shares.parse(content["split"]) if "split" in content else None
    if shares is not None and ("all" not in drawn or {*places} - {"train"}):
        raise InputError("split: the splits are told already; remove `split:`, or val and test")
    if shares is None and "all" in drawn and not places:
        shares = Shares()
    overlap = content.get("overlap")
    if overlap is not None:
        one_of(("order", "area"), overlap=str(overlap))
    images = keys.text(content, "images", None)
    _check_places(root, places, images)
    classes, ids, background = _classes(content, drawn)
    return AnnotatedConfig(
        file=file,
        path=root,
        classes=classes,
        drawn=drawn,
        ids=ids,
        background=background,
        places=places,
        images=images,
        shares=shares,
        by_area=None if overlap is None else overlap == "area",
        bands=keys.bands(content.get("bands")),
        scale=keys.scale(content.get("scale")),
        nodata=keys.nodata(content.get("nodata")),
        max_megapixels=keys.max_megapixels(content.get("max_megapixels")),
    )


def _check_places(root: Path, places: Mapping[str, tuple[str, ...]], images: str | None) -> None:
    for split, told in places.items():
        for place in told:
            where = root / (place if is_list(place) else fixed_part(place))
            if not (where.is_file() if is_list(place) else where.is_dir()):
                kind = "file" if is_list(place) else "folder"
                raise InputError(
                    f"{split}: its pictures should be in {where}, which is no {kind}; check the"
                    " path"
                )
    if images is not None and not (root / images).is_dir():
        raise InputError(f"images: {root / images} is no folder; check the path")


def _drawn(value: object, root: Path) -> dict[str, Drawn]:
    files = {"all": value} if isinstance(value, str) else value
    if (
        not isinstance(files, dict)
        or not files
        or not all(isinstance(f, str) and f for f in files.values())
    ):
        raise InputError(
            f"annotations={value!r}: must be a file or a folder, or {{train: file, val: file}};"
            " e.g. labels.json"
        )
    for split in files:
        if split not in masks.SPLITS and files is value:
            raise unknown("split", str(split), masks.SPLITS)
    return {split: read_annotations(root / text) for split, text in files.items()}


def _classes(
    content: Mapping[str, Any], drawn: Mapping[str, Drawn]
) -> tuple[Classes, dict[str, int], int]:
    """The classes, label -> id, and what stands outside of all shapes."""
    labels = tuple(dict.fromkeys(label for one in drawn.values() for label in one.labels))
    aliases = _aliases(content.get("map"))
    around = content.get("background", BACKGROUND)
    if not isinstance(around, str) or not around.strip():
        raise InputError(f"background={around!r}: must be a class, or ignore; e.g. background")
    numbered = any(one.numbered for one in drawn.values())
    if "names" in content:
        names = masks.class_names(content["names"])
        if around != "ignore" and around not in names:
            raise InputError(
                f"names: has no {around!r} for pixels outside of all shapes; add it, or write"
                " `background: ignore`, or `background: ` and one of the names"
            )
    elif numbered:
        raise InputError(
            "names: must be told, since YOLO numbers its classes; write background, then the"
            " names in their order"
        )
    else:
        meant = [str(aliases.get(label, OWN.get(label, label))) for label in labels]
        own = () if around == "ignore" else (around,)
        names = tuple(dict.fromkeys((*own, *(name for name in meant if name != "ignore"))))
        if not labels:
            raise InputError("annotations: hold no shape with an area; draw some, or give names")
    several(names)
    palette = masks.class_palette(content.get("palette"), len(names))
    ignored = keys.whole_number(content, "ignore_index", 255 if len(names) <= 255 else 65535)
    classes = Classes(names, palette or default_palette(len(names)), ignored)
    of_number = [name for name in names if name != around] if numbered else []
    ids: dict[str, int] = {}
    for label in labels:
        told = of_number[int(label)] if label.isdecimal() and int(label) < len(of_number) else label
        name = aliases.get(label, OWN.get(label, told))
        if type(name) is int and 0 <= name < len(names):
            ids[label] = name
        elif name == "ignore" or name in names:
            ids[label] = ignored if name == "ignore" else names.index(str(name))
        else:
            raise _no_class(label, name, names, drawn)
    return classes, ids, ignored if around == "ignore" else names.index(around)


def _no_class(
    label: str, name: object, names: tuple[str, ...], drawn: Mapping[str, Drawn]
) -> InputError:
    if name != label:
        return InputError(f"map: sends {label!r} to {name!r}; {suggestion(str(name), names)}")
    count = sum(
        shape.label == label
        for one in drawn.values()
        for drawing in one.drawings
        for shape in drawing.shapes
    )
    return InputError(
        f"names: lacks the label {label!r} of {count} shapes; add it, or say under `map:` what it"
        f" means, e.g. {label}: ignore"
    )


def _aliases(value: object) -> dict[str, str | int]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(
        type(target) is int or isinstance(target, str) for target in value.values()
    ):
        raise InputError(
            f"map={value!r}: must be {{label: class or ignore}}; e.g. {{car: vehicle}}"
        )
    return {str(label): target for label, target in value.items()}
