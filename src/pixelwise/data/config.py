"""data.yaml: where pictures and masks lie and what the values in the masks mean.

path: .                        # of the folders below; relative to this file
train: train/images            # masks lie beside: train/masks
val: val/images
names: {0: background, 1: building}
masks_dir: masks
map: {0: 0, 255: 1}            # raw value or "#rrggbb" -> class id, or ignore
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.data.classes import Classes, Colour, default_palette, parse_colour
from pixelwise.data.values import ValueMap
from pixelwise.errors import InputError, unknown

KEYS = (
    "path", "train", "val", "test", "names", "masks_dir", "map", "palette", "bands", "scale",
    "ignore_index",
)  # fmt: skip
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataConfig:
    """A checked data.yaml.

    Args:
        file: The file that states all this; error messages name it.
        path: The folder that the splits are relative to.
        train: Folder of the training pictures, relative to `path`; likewise `val` and `test`.
            A split that the data set lacks is None.
        classes: From `names`, `palette` and `ignore_index`.
        masks_dir: Stands for the last folder called "images" in a split's path, or else lies
            beside the pictures' folder.
        values: From `map`; without one, mask values are class ids.
        bands: Which bands of the pictures to read, counted from 0; None: all.
        scale: The raw value that means 1.0; None: 255 or 65535 by the pictures' type, 1 for
            floats.
    """

    file: Path
    path: Path
    train: str | None
    val: str | None
    test: str | None
    classes: Classes
    values: ValueMap
    masks_dir: str = "masks"
    bands: tuple[int, ...] | None = None
    scale: float | None = None

    @classmethod
    def load(cls, path: str | Path) -> "DataConfig":
        """Read and check a data.yaml.

        Raises:
            InputError: The file is missing or not YAML, has an unknown key, a value of the
                wrong kind, an id that is no class, or names a folder that does not exist.
        """
        file = Path(path)
        content = _parse(file)
        try:
            return _build(file, content)
        except InputError as error:
            at = str(file)
            raise (error if at in str(error) else InputError(f"{at}: {error}")) from None

    def folders(self, split: str) -> tuple[Path, Path]:
        """The folders of a split's pictures and of its masks.

        Raises:
            InputError: The data set has no such split.
        """
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        place = {"train": self.train, "val": self.val, "test": self.test}[split]
        if place is None:
            raise InputError(f"{self.file}: has no {split!r} split; add `{split}: <folder>`")
        parts = list(Path(place).parts)
        at = max((i for i, part in enumerate(parts) if part == "images"), default=len(parts) - 1)
        parts[at] = self.masks_dir
        return self.path / place, self.path.joinpath(*parts)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the data set has."""
        places = (self.train, self.val, self.test)
        return tuple(s for s, place in zip(SPLITS, places, strict=True) if place is not None)


def _parse(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f'{file}: cannot be read as YAML ({reason}); colours need quotes: "#ff0000"'
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: has no `key: value` lines; write at least names and train")
    for key in content:
        if key not in KEYS:
            wrong = unknown("key", str(key), KEYS)
            raise InputError(f"{file}: {wrong}")
    return content


def _build(file: Path, content: Mapping[str, Any]) -> DataConfig:
    names = _names(content.get("names"))
    palette = _palette(content.get("palette"), len(names))
    ignore_index = _number(content, "ignore_index", 255)
    classes = Classes(names, palette or default_palette(len(names)), ignore_index)
    config = DataConfig(
        file=file,
        path=file.parent / _text(content, "path", "."),
        train=_text(content, "train", None),
        val=_text(content, "val", None),
        test=_text(content, "test", None),
        classes=classes,
        values=_values(content.get("map"), classes, palette, str(file)),
        masks_dir=_text(content, "masks_dir", "masks") or "masks",
        bands=_bands(content.get("bands")),
        scale=_scale(content.get("scale")),
    )
    if not config.splits:
        raise InputError("has no split; add `train: <folder of pictures>` and `val: <folder>`")
    for split in config.splits:
        for folder in config.folders(split):
            if not folder.is_dir():
                what = "pictures" if folder == config.folders(split)[0] else "masks"
                raise InputError(
                    f"{split}: its {what} should be in {folder}, which is no folder; check the path"
                )
    return config


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        if sorted(value, key=str) != sorted(range(len(value)), key=str):
            raise InputError(
                f"names={value}: must number the classes from 0 to {len(value) - 1}; leave none out"
            )
        value = [value[i] for i in range(len(value))]
    if not isinstance(value, list):
        raise InputError(
            f"names={value!r}: must list the classes; e.g. `names: {{0: ground, 1: roof}}`"
        )
    return tuple(str(name) for name in value)


def _palette(value: object, count: int) -> tuple[Colour, ...] | None:
    if value is None:
        return None
    if isinstance(value, dict):
        if sorted(value, key=str) != sorted(range(count), key=str):
            raise InputError(
                f"palette={value}: must number the classes from 0 to {count - 1}; leave none out"
            )
        value = [value[i] for i in range(count)]
    if not isinstance(value, list):
        raise InputError(f'palette={value!r}: must list colours; e.g. ["#000000", "#ff0000"]')
    return tuple(parse_colour(colour) for colour in value)


def _values(
    value: object, classes: Classes, palette: tuple[Colour, ...] | None, written_in: str
) -> ValueMap:
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


def _bands(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, list) and value and all(type(v) is int and v >= 0 for v in value):
        return tuple(value)
    raise InputError(f"bands={value!r}: must list numbers of bands from 0; e.g. [0, 1, 2]")


def _scale(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise InputError(f"scale={value!r}: must be a number above 0; give the raw value of white")


def _number(content: Mapping[str, Any], key: str, default: int) -> int:
    value = content.get(key, default)
    if type(value) is not int:
        raise InputError(f"{key}={value!r}: must be a whole number; e.g. {default}")
    return value


def _text(content: Mapping[str, Any], key: str, default: str | None) -> Any:
    value = content.get(key, default)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key}={value!r}: must be text; write one folder")
    return value
