"""data.yaml of rasters with labels, which are rasters or features.

rasters:
  - {image: ortho.tif, labels: ortho_classes.tif}
  - {image: west.tif, labels: buildings.gpkg, field: class, area: digitised.gpkg}
  - {image: north.tif, labels: {building: buildings.shp, road: roads.gpkg}, split: val}
names: [background, building, road]
background: background               # the class outside of all features, or ignore
map: {house: building, unsure: ignore}    # value of the field, or of a raster -> class
split: {val: 0.2, by: area, gap: 128, seed: 0}
tile: 512
"""

import glob
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.checks import at_least, one_of
from pixelwise.data import config as masks
from pixelwise.data import keys
from pixelwise.data.classes import Classes, default_palette, several
from pixelwise.data.overlapping import Overlapping, check_kind, parse_overlapping
from pixelwise.data.quantities import Quantity
from pixelwise.data.rasters.features import SUFFIXES
from pixelwise.data.splitting import Shares
from pixelwise.data.values import ValueMap
from pixelwise.errors import InputError, suggestion, unknown

KEYS = (
    "path", "rasters", "names", "map", "background", "palette", "ignore_index", "values",
    "values_nodata", "overlapping", "colours", "missing_masks", "bands", "scale", "nodata", "split",
    "tile",
)  # fmt: skip
ENTRY = ("image", "labels", "field", "value", "layer", "area", "split", "empty")
TILE = 512
BACKGROUND = "background"
IGNORE = "ignore"
WAYS = ("area", "raster")


@dataclass(frozen=True)
class Entry:
    """A raster and its labels.

    Args:
        image: The raster.
        labels: Files of labels, each with the class that it is for; None: it says so itself.
        field: The field of features that holds their class or number.
        value: The class of all features.
        layer: The layer of a vector file.
        area: Features outside of which nothing is known.
        split: The split that all of it belongs to; None: it is shared out.
        empty: Whether there may be no feature on it.
    """

    image: Path
    labels: tuple[tuple[str | None, Path], ...]
    field: str | None = None
    value: int | float | None = None
    layer: str | None = None
    area: Path | None = None
    split: str | None = None
    empty: bool = False

    @property
    def features(self) -> bool:
        """Whether its labels are features."""
        return is_features(self.labels[0][1])


@dataclass(frozen=True, eq=False)
class RastersConfig:
    """A checked data.yaml with rasters.

    Args:
        file: The file that states all this; error messages name it.
        entries: The rasters.
        classes: Names, colours, and the ignore index.
        values: What values of label rasters mean.
        words: What texts in fields of features mean, beside names: class id or ignore index.
        background: What stands outside of all features: a class id, the ignore index, or a number;
            None: it follows from the features.
        quantities: What the bands of labels measure; none: they hold classes.
        values_nodata: Raw values of such labels that mean "unknown".
        overlapping: How labels overlap; None: they do not.
        shares: How tiles are shared out.
        by: What is shared out: "area" or "raster".
        gap: Pixels between splits; None: a quarter of a tile.
        tile: Pixels of a side of a tile.
        bands: Which bands of the rasters to read, counted from 0; None: all.
        scale: The raw value that means 1.0; None: by the rasters' type.
        nodata: Values of the rasters that mean "no data", beside what their files say.
    """

    file: Path
    entries: tuple[Entry, ...]
    classes: Classes
    values: ValueMap
    words: Mapping[str, int]
    background: int | float | None
    quantities: tuple[Quantity, ...]
    values_nodata: tuple[float, ...]
    overlapping: Overlapping | None
    shares: Shares | None
    by: str
    gap: int
    tile: int
    bands: tuple[int, ...] | None
    scale: float | None
    nodata: tuple[float, ...]

    @classmethod
    def of(cls, file: Path, content: Mapping[str, Any]) -> "RastersConfig":
        """Check what a data.yaml says.

        Raises:
            InputError: A key is unknown or its value wrong, or a file is missing.
        """
        with keys.told_with(file):
            check_kind(content)
            for key in content:
                if key not in KEYS:
                    raise unknown("key", str(key), KEYS)
            return _build(file, content)


def is_features(file: Path) -> bool:
    """Whether a file holds features in place of pixels."""
    return file.suffix.lower() in SUFFIXES


def _build(file: Path, content: Mapping[str, Any]) -> RastersConfig:
    quantities, labels = masks.quantities_of(content), "overlapping" in content
    names = tuple(q.name for q in quantities) or masks.class_names(content.get("names"))
    if not labels and not quantities:
        several(names)
    palette = masks.class_palette(content.get("palette"), len(names))
    ignored = keys.whole_number(content, "ignore_index", 255 if len(names) <= 255 else 65535)
    usual = default_palette(len(names) + 1)[1:] if labels else default_palette(len(names))
    classes = Classes(names, palette or usual, ignored)
    raw, words = _map(content.get("map"), classes)
    values = masks.value_map(None if labels else raw, classes, palette, str(file))
    told = {**content, "map": raw} if raw is not None else {**content}
    if raw is None:
        told.pop("map", None)
    entries = _entries(content.get("rasters"), keys.root(file, content), classes, bool(quantities))
    tile = keys.whole_number(content, "tile", TILE)
    at_least(32, tile=tile)
    shares, by, gap = _shares(content.get("split"), entries, tile)
    return RastersConfig(
        file=file,
        entries=entries,
        classes=classes,
        values=values,
        words=words,
        background=_background(content, classes, bool(quantities), labels),
        quantities=quantities,
        values_nodata=keys.nodata(content.get("values_nodata"), "values_nodata"),
        overlapping=parse_overlapping(told, names, ignored) if labels else None,
        shares=shares,
        by=by,
        gap=gap,
        tile=tile,
        bands=keys.bands(content.get("bands")),
        scale=keys.scale(content.get("scale")),
        nodata=keys.nodata(content.get("nodata")),
    )


def _map(value: object, classes: Classes) -> tuple[dict[Any, Any] | None, dict[str, int]]:
    """What is said of values and colours, if anything, and of words."""
    if value is None:
        return None, {}
    if not isinstance(value, dict) or not value:
        raise InputError(
            f"map={value!r}: must be {{value or word: class or ignore}}; e.g. {{house: building}}"
        )
    raw: dict[Any, Any] = {}
    words: dict[str, int] = {}
    for key, target in value.items():
        if isinstance(target, str) and target != IGNORE:
            if target not in classes.names:
                raise InputError(
                    f"map: sends {key!r} to {target!r}; {suggestion(target, classes.names)}"
                )
            target = classes.names.index(target)
        if type(key) is int or (isinstance(key, str) and key.startswith("#")):
            raw[key] = target
        elif target == IGNORE:
            words[_word(key)] = classes.ignore_index
        elif type(target) is int and 0 <= target < len(classes):
            words[_word(key)] = target
        else:
            raise InputError(f"map: sends {key!r} to {target!r}; write a class, its id, or ignore")
    return (raw or None), words


def _word(key: object) -> str:
    return "" if key is None else str(key)


def _background(
    content: Mapping[str, Any], classes: Classes, numbers: bool, labels: bool
) -> int | float | None:
    value = content.get(BACKGROUND)
    if numbers:
        number = keys.as_float(value)
        if value is not None and number is None:
            raise InputError(
                f"background={value!r}: must be a number, or left out: then nothing is known there;"
                " e.g. 0"
            )
        return number
    if labels:
        if value not in (None, IGNORE):
            raise InputError(
                f"background={value!r}: must be ignore, or left out: then no label is there; leave"
                " it out"
            )
        return classes.ignore_index if value == IGNORE else 0
    if value is None:
        return classes.names.index(BACKGROUND) if BACKGROUND in classes.names else None
    if value == IGNORE:
        return classes.ignore_index
    return _class(value, classes, BACKGROUND)


def _class(value: object, classes: Classes, key: str) -> int:
    """The id of a class that is told by its name or id."""
    if isinstance(value, str) and value in classes.names:
        return classes.names.index(value)
    if type(value) is int and 0 <= value < len(classes):
        return value
    raise InputError(
        f"{key}={value!r}: must be a class or its id from 0 to {len(classes) - 1};"
        f" {suggestion(str(value), classes.names)}"
    )


def _shares(value: object, entries: tuple[Entry, ...], tile: int) -> tuple[Shares | None, str, int]:
    """How what no entry states is shared out, and pixels between splits."""
    told = {**value} if isinstance(value, dict) else value
    by, gap = "area", tile // 4
    if isinstance(told, dict):
        by = told.pop("by", by)
        one_of(WAYS, by=str(by))
        gap = keys.whole_number(told, "gap", gap)
        at_least(0, gap=gap)
        told.pop("gap", None)
    free = [entry for entry in entries if entry.split is None]
    stated = {entry.split for entry in entries} - {None}
    if value is None and stated - {"train"}:
        return None, by, gap
    shares = Shares() if value is None else Shares.parse(told)
    if not free:
        if value is not None and not (isinstance(told, dict) and not told):
            raise InputError("split: every raster states its own; remove `split:` of one of them")
        return None, by, gap
    for split in shares.splits:
        if split in stated - {"train"}:
            raise InputError(
                f"split: {split} is told already, by a raster; remove its `split:`, or the share"
            )
    return shares, by, gap


def _entries(value: object, root: Path, classes: Classes, numbers: bool) -> tuple[Entry, ...]:
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not value:
        raise InputError(
            f"rasters={value!r}: must list rasters with their labels; e.g. [{{image: ortho.tif,"
            " labels: classes.tif}]"
        )
    entries = tuple(
        _entry(one, root, classes, numbers) for told in value for one in _each(told, root)
    )
    seen: set[Path] = set()
    for entry in entries:
        real = entry.image.resolve()
        if real in seen:
            raise InputError(f"rasters: {entry.image} is there twice; keep one of the two")
        seen.add(real)
    return entries


def _each(value: object, root: Path) -> Iterator[object]:
    """An entry, or one for each raster that its pattern of names means."""
    pattern = value.get("image") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(pattern, str) or "*" not in pattern:
        yield value
        return
    if pattern.count("*") > 1:
        raise InputError(f"image={pattern!r}: must have one star; e.g. ortho/*.tif")
    parts = (root / pattern).parts
    at = next(i for i, part in enumerate(parts) if "*" in part)
    below = "*".join(map(glob.escape, "/".join(parts[at:]).split("*")))
    found = sorted(map(str, Path(*parts[:at]).glob(below)))
    if not found:
        raise InputError(f"image={pattern!r}: no raster in {root} is called so; check the pattern")
    for file in found:
        star = _star(file, str(root / pattern))
        yield {key: _starred(told, star) for key, told in value.items()}


def _star(file: str, pattern: str) -> str:
    before, after = map(re.escape, pattern.split("*"))
    match = re.fullmatch(f"{before}(.*){after}", file)
    return match[1] if match else ""


def _starred(value: object, star: str) -> object:
    """A value with the text that the star stands for."""
    if isinstance(value, dict):
        return {key: _starred(told, star) for key, told in value.items()}
    return value.replace("*", star) if isinstance(value, str) else value


def _entry(value: object, root: Path, classes: Classes, numbers: bool) -> Entry:
    if not isinstance(value, dict) or not {"image", "labels"} <= value.keys():
        raise InputError(
            f"rasters: {value!r} must say image and labels; e.g. {{image: ortho.tif, labels:"
            " classes.tif}"
        )
    for key in value:
        if key not in ENTRY:
            raise unknown("key", str(key), ENTRY, "of rasters")
    image = _there(root, value["image"], "image")
    labels = _labels(value["labels"], root, classes)
    for key in ("field", "value", "layer", "empty"):
        if key in value and not any(is_features(file) for _, file in labels):
            raise InputError(
                f"{key}: is for features, but labels of {image} are a raster; remove it"
            )
        if key in value and key in ("field", "value") and labels[0][0] is not None:
            raise InputError(f"{key}: is told by the classes that `labels` names; remove it")
    if "field" in value and "value" in value:
        raise InputError("value: is for all features, field for each its own; keep one of them")
    split = value.get("split")
    if split is not None and split not in masks.SPLITS:
        raise unknown("split", str(split), masks.SPLITS, f"of {image}")
    empty = value.get("empty", False)
    if not isinstance(empty, bool):
        raise InputError(f"empty={empty!r}: must be true or false; leave it out for false")
    area = None if value.get("area") is None else _there(root, value["area"], "area")
    if area is not None and not is_features(area):
        raise InputError(f"area={area}: must be a vector file; e.g. a .gpkg or .geojson")
    return Entry(
        image,
        labels,
        _text(value, "field"),
        _value(value.get("value"), classes, numbers),
        _text(value, "layer"),
        area,
        split,
        empty,
    )


def _labels(value: object, root: Path, classes: Classes) -> tuple[tuple[str | None, Path], ...]:
    if isinstance(value, dict) and value:
        found = []
        for name, text in value.items():
            if str(name) not in classes.names:
                raise unknown("class", str(name), classes.names, "in labels")
            found.append((str(name), _there(root, text, f"labels of {name}")))
        return tuple(found)
    return ((None, _there(root, value, "labels")),)


def _value(value: object, classes: Classes, numbers: bool) -> int | float | None:
    if value is None:
        return None
    if not numbers:
        return _class(value, classes, "value")
    number = keys.as_float(value)
    if number is None:
        raise InputError(f"value={value!r}: must be a number; e.g. 1")
    return number


def _text(value: Mapping[str, Any], key: str) -> str | None:
    text = value.get(key)
    if text is not None and (not isinstance(text, str) or not text):
        raise InputError(f"{key}={text!r}: must be text; write a name")
    return text


def _there(root: Path, value: object, key: str) -> Path:
    if not isinstance(value, str) or not value:
        raise InputError(f"{key}={value!r}: must be a file; e.g. ortho.tif")
    file = root / value
    if not file.exists():
        raise InputError(f"{key}: {file} is not there; check the path")
    return file
