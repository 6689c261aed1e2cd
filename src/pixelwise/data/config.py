"""data.yaml: where pictures and masks lie and what the values in the masks mean.

path: .                        # of the folders below; relative to this file
train: train/images            # masks lie beside: train/masks
val: val/images                # or a list of names (.txt), a pattern of files, or several places
split: {val: 0.2, by: folder}  # in place of val: pictures of train shared out, see `splitting`
images: all                    # where the names of lists are looked for
names: {0: background, 1: building}
masks_dir: masks
map: {0: 0, 255: 1}            # raw value or "#rrggbb" -> class id, or ignore
masks: "*_mask.png"            # names of the masks, where they are not those of the pictures
nodata: -9999                  # of the pictures, beside what their files say

With `values:` in place of `names:` masks hold numbers, see `quantities`; with `overlapping:` beside
`names:` they hold several labels per pixel, see `overlapping`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.data import keys
from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.data.classes import Classes, Colour, default_palette, parse_colour, several
from pixelwise.data.layouts import LAYOUTS
from pixelwise.data.mask_names import MaskNames
from pixelwise.data.overlapping import Overlapping, check_kind, parse_overlapping
from pixelwise.data.places import fixed_part, is_list
from pixelwise.data.quantities import Quantity, parse_quantities
from pixelwise.data.splitting import Shares
from pixelwise.data.values import ValueMap
from pixelwise.errors import InputError, unknown

KEYS = (
    "path", "train", "val", "test", "names", "masks_dir", "masks", "map", "palette", "bands",
    "scale", "nodata", "ignore_index", "max_megapixels", "layout", "values", "values_nodata",
    "overlapping", "colours", "missing_masks",
    "images", "split",
)  # fmt: skip
SPLITS = ("train", "val", "test")
Places = str | tuple[str, ...] | None


@dataclass(frozen=True)
class DataConfig:
    """A checked data.yaml.

    Args:
        file: The file that states all this; error messages name it.
        path: The folder that the splits are relative to.
        train: Where the training pictures are, relative to `path`; likewise `val` and `test`: a
            folder, a .txt list of names, a pattern of files, or several of these. A split that the
            data set lacks is None.
        classes: From `names`, `palette` and `ignore_index`.
        masks_dir: Stands for the last folder called "images" in a split's path, or else lies
            beside the pictures' folder; or a split's path, or parts of it -> what they become.
        mask_names: Which mask belongs to a picture.
        values: From `map`; without one, mask values are class ids.
        bands: Which bands of the pictures to read, counted from 0; None: all.
        scale: The raw value that means 1.0; None: 255 or 65535 by the pictures' type, 1 for
            floats.
        nodata: Values of the pictures that mean "no data", beside what their files say.
        max_megapixels: Larger pictures are refused, unless they are TIFFs.
        quantities: What the bands of the masks measure; none: masks hold classes.
        values_nodata: Raw values of such masks that mean "unknown", beside NaN, infinity and what
            their files say.
        overlapping: How masks hold several labels per pixel; None: they hold something else.
        images: The folder in which the names of lists are looked for; None: `path`.
        shares: How the pictures of `train` are shared out to the splits that have no place.
    """

    file: Path
    path: Path
    train: Places
    val: Places
    test: Places
    classes: Classes
    values: ValueMap
    masks_dir: str | Mapping[str, str] = "masks"
    mask_names: MaskNames = field(default_factory=MaskNames)
    bands: tuple[int, ...] | None = None
    scale: float | None = None
    nodata: tuple[float, ...] = ()
    max_megapixels: float = MAX_MEGAPIXELS
    quantities: tuple[Quantity, ...] = ()
    values_nodata: tuple[float, ...] = ()
    overlapping: Overlapping | None = None
    images: str | None = None
    shares: Shares | None = None

    @classmethod
    def load(cls, path: str | Path) -> "DataConfig":
        """Read and check a data.yaml.

        Raises:
            InputError: The file is missing or not YAML, has an unknown key, a value of the
                wrong kind, an id that is no class, or names a folder that does not exist.
        """
        file = Path(path)
        return cls.of(file, yaml_files.read(file, "write at least names and train"))

    @classmethod
    def of(cls, file: Path, content: Mapping[str, Any]) -> "DataConfig":
        """Check the keys and values of a data.yaml; raises as `load`."""
        content = _completed(file, content)
        with keys.told_with(file):
            return _build(file, content)

    def folders(self, split: str) -> tuple[Path, Path]:
        """The folders of a split's pictures and of its masks; the first where there are several.

        Raises:
            InputError: The data set has no such split.
        """
        place = self.places(split)[0]
        return self.folders_of(self.images or "." if is_list(place) else fixed_part(place))

    def places(self, split: str) -> tuple[str, ...]:
        """Where a split's pictures are told: folders, lists or patterns, relative to `path`.

        Raises:
            InputError: The data set has no such split.
        """
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        place = {"train": self.train, "val": self.val, "test": self.test}[split]
        if place is None and split in self.splits:
            place = self.train
        if place is None:
            raise InputError(f"{self.file}: has no {split!r} split; add `{split}: <folder>`")
        return (place,) if isinstance(place, str) else place

    @property
    def by_folders(self) -> bool:
        """Whether every split is one folder, all of it."""
        told = [place for split in self.splits for place in self.places(split)]
        plain = all(not is_list(place) and fixed_part(place) == place for place in told)
        return plain and self.shares is None and len(told) == len(self.splits)

    def folders_of(self, place: str) -> tuple[Path, Path]:
        """A folder of pictures, given relative to `path`, and that of their masks."""
        if not isinstance(self.masks_dir, str):
            if place in self.masks_dir:
                return self.path / place, self.path / self.masks_dir[place]
            swapped = [self.masks_dir.get(part, part) for part in Path(place).parts]
            return self.path / place, self.path.joinpath(*swapped)
        parts = list(Path(place).parts) or ["."]
        at = max((i for i, part in enumerate(parts) if part == "images"), default=len(parts) - 1)
        parts[at] = self.masks_dir
        return self.path / place, self.path.joinpath(*parts)

    @property
    def numbers(self) -> bool:
        """Whether a mask may be any file of numbers, NPY too."""
        return bool(self.quantities) or self.overlapping is not None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the data set has."""
        places = (self.train, self.val, self.test)
        shared = self.shares.splits if self.shares else ()
        return tuple(
            s for s, place in zip(SPLITS, places, strict=True) if place is not None or s in shared
        )


def _completed(file: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """With what the layout says."""
    content = dict(given)
    try:
        check_kind(content)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    for key in content:
        if key not in KEYS:
            wrong = unknown("key", str(key), KEYS)
            raise InputError(f"{file}: {wrong}")
    layout = content.pop("layout", None)
    if layout is None:
        return content
    if not isinstance(layout, str) or layout not in LAYOUTS:
        wrong = unknown("layout", str(layout), LAYOUTS)
        raise InputError(f"{file}: {wrong}")
    known = LAYOUTS[layout]
    places = {s: known[s] for s in SPLITS if (keys.root(file, content) / str(known[s])).is_dir()}
    described = {key: value for key, value in known.items() if key not in SPLITS}
    return {**described, **({} if set(SPLITS) & set(content) else places), **content}


def _build(file: Path, content: Mapping[str, Any]) -> DataConfig:
    quantities, labels = quantities_of(content), "overlapping" in content
    names = tuple(q.name for q in quantities) or class_names(content.get("names"))
    if not labels and not quantities:
        several(names)
    palette = class_palette(content.get("palette"), len(names))
    # Beyond 255 classes the usual 255 is a class itself; masks then have 16 bits.
    ignore_index = keys.whole_number(content, "ignore_index", 255 if len(names) <= 255 else 65535)
    usual = default_palette(len(names) + 1)[1:] if labels else default_palette(len(names))
    classes = Classes(names, palette or usual, ignore_index)
    overlapping = parse_overlapping(content, names, ignore_index) if labels else None
    files = overlapping is not None and overlapping.how == "files"
    config = DataConfig(
        file=file,
        path=keys.root(file, content),
        train=places(content, "train"),
        val=places(content, "val"),
        test=places(content, "test"),
        classes=classes,
        values=value_map(None if labels else content.get("map"), classes, palette, str(file)),
        masks_dir=_masks_dir(content.get("masks_dir")),
        mask_names=MaskNames.parse(None if files else content.get("masks")),
        bands=keys.bands(content.get("bands")),
        scale=keys.scale(content.get("scale")),
        nodata=keys.nodata(content.get("nodata")),
        max_megapixels=keys.max_megapixels(content.get("max_megapixels")),
        quantities=quantities,
        values_nodata=keys.nodata(content.get("values_nodata"), "values_nodata"),
        overlapping=overlapping,
        images=keys.text(content, "images", None),
        shares=Shares.parse(content["split"]) if "split" in content else None,
    )
    if not config.splits:
        raise InputError("has no split; add `train: <folder of pictures>` and `val: <folder>`")
    _check_shares(config)
    for split in config.splits:
        for place in config.places(split):
            _check_place(config, split, place)
    return config


def _check_shares(config: DataConfig) -> None:
    files = config.overlapping is not None and config.overlapping.how == "files"
    if files and not config.by_folders:
        raise InputError(
            "overlapping: with a mask per label, each split must be one folder; sort the pictures"
            " into folders"
        )
    if config.shares is None:
        return
    if config.train is None:
        raise InputError("split: shares out the pictures of train; add `train: <folder>`")
    for split, place in (("val", config.val), ("test", config.test)):
        if place is not None and split in config.shares.splits:
            raise InputError(f"split: {split} is told already; remove `{split}:`, or its share")


def _check_place(config: DataConfig, split: str, place: str) -> None:
    if is_list(place):
        if not (config.path / place).is_file():
            raise InputError(
                f"{split}: its list should be {config.path / place}, which is no file; check the "
                "path"
            )
        if config.images is None:
            return  # names in the list lead to the folders
    folders = config.folders_of(config.images or "." if is_list(place) else fixed_part(place))
    for what, folder in zip(("pictures", "masks"), folders, strict=True):
        if not folder.is_dir():
            raise InputError(
                f"{split}: its {what} should be in {folder}, which is no folder; check the path"
            )


def places(content: Mapping[str, Any], key: str) -> Places:
    """Where the pictures of a split are told."""
    value = content.get(key)
    if not isinstance(value, list):
        return keys.text(content, key, None)
    if not value or not all(isinstance(place, str) and place for place in value):
        raise InputError(f"{key}={value!r}: must be a folder, or a list of some; write one folder")
    return tuple(value)


def quantities_of(content: Mapping[str, Any]) -> tuple[Quantity, ...]:
    """The bands of masks that hold numbers; none where they hold classes."""
    if "values" not in content:
        if "values_nodata" in content:
            raise InputError("values_nodata: is for masks of numbers; add `values:`, or remove it")
        return ()
    for key in ("names", "map", "palette", "ignore_index"):
        if key in content:
            raise InputError(f"{key}: is for classes, but `values:` says numbers; remove one")
    return parse_quantities(content["values"])


def class_names(value: object) -> tuple[str, ...]:
    """The classes of `names:`, by id."""
    if isinstance(value, dict):
        value = _numbered(value, "names", len(value))
    if not isinstance(value, list):
        raise InputError(
            f"names={value!r}: must list the classes; e.g. `names: {{0: ground, 1: roof}}`"
        )
    for number, name in enumerate(value):
        if isinstance(name, bool):
            raise InputError(
                f"names: class {number} is {name}, as YAML reads yes, no, on and off; put the word "
                f'in quotes, e.g. {number}: "{"yes" if name else "no"}"'
            )
        if not isinstance(name, str | int | float):
            raise InputError(
                f"names: class {number} is {name!r}; must be text; write a name for each class"
            )
        if not str(name).strip():
            raise InputError(f"names: class {number} is empty; write a name for each class")
    return tuple(str(name) for name in value)


def _numbered(value: dict[Any, Any], key: str, count: int) -> list[Any]:
    """The values of a mapping whose keys are 0..count-1, in order."""
    if not all(type(number) is int for number in value) or sorted(value) != [*range(count)]:
        raise InputError(
            f"{key}={value}: must number the classes from 0 to {count - 1}; leave none out"
        )
    return [value[i] for i in range(count)]


def class_palette(value: object, count: int) -> tuple[Colour, ...] | None:
    """The colours of `palette:`, by id; None: not told."""
    if value is None:
        return None
    if isinstance(value, dict):
        value = _numbered(value, "palette", count)
    if not isinstance(value, list):
        raise InputError(f'palette={value!r}: must list colours; e.g. ["#000000", "#ff0000"]')
    return tuple(parse_colour(colour) for colour in value)


def value_map(
    value: object, classes: Classes, palette: tuple[Colour, ...] | None, written_in: str
) -> ValueMap:
    """What `map:` says; without one, mask values are class ids."""
    if value is None:
        plain = ValueMap.identity(classes, written_in)
        colours = {colour: i for i, colour in enumerate(palette or ())}
        return ValueMap(plain.values, colours, written_in)
    if not isinstance(value, dict) or not value:
        raise InputError(
            f"map={value!r}: must be {{raw value: class id or ignore}}; e.g. {{0: 0, 255: 1}}"
        )
    values: dict[int, int] = {}
    colours = {}
    for raw, target in value.items():
        if target == "ignore":
            target = classes.ignore_index
        elif type(target) is not int or not 0 <= target < len(classes):
            raise InputError(
                f"map: sends {raw!r} to {target!r}; write a class id from 0 to "
                f"{len(classes) - 1}, or ignore"
            )
        if type(raw) is int:
            values[raw] = target
        else:
            colours[parse_colour(raw)] = target
    return ValueMap(values, colours, written_in)


def _masks_dir(value: object) -> str | dict[str, str]:
    if value is None:
        return "masks"
    if isinstance(value, str) and value:
        return value
    if isinstance(value, dict) and value:
        parts = {str(part): text for part, text in value.items() if isinstance(text, str) and text}
        if len(parts) == len(value):
            return parts
    raise InputError(
        f"masks_dir={value!r}: must be text, or {{part of the pictures' path: its stand-in}}; "
        "write one folder"
    )
