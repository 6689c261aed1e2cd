"""What the doctor looks at: a described data set, or folders that nothing describes rightly."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.data.annotations.discovery import describe_shapes
from pixelwise.data.annotations.ultralytics import from_ultralytics
from pixelwise.data.class_table import load_class_table
from pixelwise.data.config import KEYS, SPLITS, DataConfig
from pixelwise.data.mask_names import MaskNames
from pixelwise.data.points.discovery import DEEPLABCUT, describe, is_class_table
from pixelwise.doctor.finding import Finding
from pixelwise.doctor.guessing import described, guess
from pixelwise.errors import InputError
from pixelwise.language import joined, message

ROUNDS = 8
"""So many mistakes of a data.yaml are told."""
OTHER = frozenset({"points", "labels", "bodyparts", "overlapping", "annotations", "rasters"})
"""Keys of a data.yaml that has no masks of classes."""
DESCRIPTIONS = ("data.yaml", "data.yml", "classes.csv")


@dataclass(frozen=True)
class Subject:
    """A data set of masks.

    Args:
        root: Its folder; names of files are told relative to it.
        file: Its data.yaml or classes.csv; None: there is none.
        content: What its data.yaml says, or would say; its mistakes left out.
        config: The same, checked; None: it has no names that can be used.
        folders: Split -> the folders of its pictures and its masks.
        names: Which mask belongs to a picture.
        findings: What is wrong with the description.
    """

    root: Path
    file: Path | None
    content: Mapping[str, Any]
    config: DataConfig | None
    folders: Mapping[str, tuple[Path, Path | None]]
    names: MaskNames
    findings: tuple[Finding, ...]

    def told(self, file: str | Path) -> str:
        """A file's name, relative to the root where it is below it."""
        try:
            return Path(file).relative_to(self.root).as_posix()
        except ValueError:
            return str(file)


def find_subject(spec: str | Path) -> Subject:
    """The data set that a path leads to, whatever is wrong with its description.

    Raises:
        InputError: Nothing is there, or no pictures are.
    """
    path = Path(spec)
    if path.is_dir():
        inside = [path / name for name in DESCRIPTIONS if (path / name).is_file()]
        if not inside:
            return _undescribed(path)
        path = inside[0]
    if not path.is_file():
        raise InputError(
            f"data={str(spec)!r}: nothing there; give a data.yaml, a folder, or 'scenes'"
        )
    if path.suffix.lower() == ".csv":
        return _of_table(path)
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise InputError(f"{path}: does not describe a data set; give a data.yaml or a folder")
    return _of_yaml(path)


def is_other_kind(path: Path) -> bool:
    """Whether a path leads to points, or to labels in place of class masks."""
    if path.is_dir():
        inside = [path / name for name in DESCRIPTIONS if (path / name).is_file()]
        try:
            if inside:
                return is_other_kind(inside[0])
            if any(path.glob(DEEPLABCUT)):
                return True
            if guess(path):
                return False
            return describe_shapes(path) is not None or describe(path) is not None
        except InputError:
            return True
    suffix = path.suffix.lower()
    if suffix in {".yaml", ".yml"} and path.is_file():
        try:
            content = yaml_files.read(path)
            return bool(OTHER & content.keys()) or from_ultralytics(path, content) is not None
        except InputError:
            return False
    if suffix == ".csv" and path.is_file():
        return path.name != DESCRIPTIONS[-1] and not is_class_table(path)
    return suffix == ".json"


def _undescribed(folder: Path) -> Subject:
    found = guess(folder)
    if not found:
        raise InputError(
            f"{folder}: holds neither data.yaml nor classes.csv, nor pictures and masks of the same"
            " names in two folders; write a data.yaml"
        )
    content = described(found)
    finding = Finding(
        "stop",
        "no-data-yaml",
        message(
            "nothing says which classes there are; pictures and masks were found in {places}",
            places=joined(
                ", ",
                (message("{a} and {b}", a=item.pictures, b=item.masks) for item in found),
            ),
        ),
        message("write a data.yaml; --fix writes one to start from"),
        repair=content,
    )
    return _guessed(folder, None, content, (finding,))


def _guessed(
    root: Path, file: Path | None, content: Mapping[str, Any], findings: tuple[Finding, ...]
) -> Subject:
    """By folders alone."""
    found = guess(root)
    folders: dict[str, tuple[Path, Path | None]] = {
        item.split: (root / item.pictures, root / item.masks) for item in found
    }
    if not folders:
        told = f"{findings[0].text}; no pictures were found" if findings else "holds no pictures"
        raise InputError(f"{file or root}: {told}; {findings[0].remedy if findings else 'look'}")
    names = next((item.names for item in found), MaskNames())
    return Subject(root, file, {**described(found), **content}, None, folders, names, findings)


def _of_table(file: Path) -> Subject:
    try:
        config = load_class_table(file)
    except InputError as error:
        return _guessed(file.parent, file, {}, (_mistake(file, error),))
    return _of_config(file, as_content(config), config, ())


def _of_yaml(file: Path) -> Subject:
    try:
        content = yaml_files.read(file, "write at least names and train")
    except InputError as error:
        return _guessed(file.parent, file, {}, (_mistake(file, error),))
    findings: list[Finding] = []
    config, content = _mended(file, content, findings)
    if config is None:
        root = file.parent / str(content.get("path", "."))
        told = tuple(findings)
        return _guessed(root if root.is_dir() else file.parent, file, content, told)
    return _of_config(file, content, config, tuple(findings))


def _mended(
    file: Path, content: dict[Any, Any], findings: list[Finding]
) -> tuple[DataConfig | None, dict[Any, Any]]:
    """The configuration without its mistakes, each of which is told."""
    for _ in range(ROUNDS):
        try:
            return DataConfig.of(file, content), content
        except InputError as error:
            wrong = str(error)
            better = _one_better(file, content, wrong)
            edits = {} if better is None else _changes(content, better)
            lost = any(value is None and key in (*SPLITS, "names") for key, value in edits.items())
            findings.append(_mistake(file, error, None if lost or not edits else edits))
            if better is None:
                return None, content
            content = better
    return None, content


def _changes(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(key): after.get(key)
        for key in [*after, *before]
        if before.get(key) != after.get(key) or (key in before) != (key in after)
    }


def _one_better(file: Path, content: dict[Any, Any], wrong: str) -> dict[Any, Any] | None:
    """The content after one edit that makes it right, or else brings up the next mistake."""
    next_best = None
    for edited in _edits(file, content):
        try:
            DataConfig.of(file, edited)
        except InputError as error:
            if next_best is None and str(error) != wrong:
                next_best = edited
        else:
            return edited
    return next_best


def _edits(file: Path, content: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
    for key in content:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), [k for k in KEYS if k not in content], 1)
            renamed = {near[0] if k == key and near else k: v for k, v in content.items()}
            yield renamed if near else {k: v for k, v in content.items() if k != key}
            return
    root = file.parent / str(content.get("path", "."))
    layout = described(guess(root if root.is_dir() else file.parent))
    if not root.is_dir():
        layout["path"] = "."
    if layout:
        kept = {k: v for k, v in content.items() if k not in (*SPLITS, "masks_dir", "path")}
        splits = {k: v for k, v in content.items() if k in SPLITS}
        there = {k: v for k, v in splits.items() if (root / str(v)).is_dir()}
        for places in ({**layout, **there}, layout):
            yield {**kept, **places}
    names = content.get("names")
    listed = [*names.values()] if isinstance(names, dict) else names
    if isinstance(listed, list) and listed:
        words = {True: "yes", False: "no"}
        told = [words.get(n, n) if isinstance(n, bool) else n for n in listed]
        told = [f"class {i}" if n is None or not str(n).strip() else n for i, n in enumerate(told)]
        told = [f"{n} {i}" if n in told[:i] else n for i, n in enumerate(told)]
        for better in (told, ["background", *told]):
            yield {**content, "names": better}
    for key in content:
        if key not in ("names", "values", "train"):
            yield {k: v for k, v in content.items() if k != key}


def _mistake(file: Path, error: InputError, repair: Mapping[str, Any] | None = None) -> Finding:
    text = " ".join(str(error).split()).replace(f"{file}: ", "").replace(str(file), file.name)
    text = text.replace(f"{file.parent}/", "")
    what, _, remedy = text.rpartition("; ")
    return Finding(
        "stop", "description", what or text, remedy or "correct it", (file.name,), repair
    )


def _of_config(
    file: Path, content: Mapping[str, Any], config: DataConfig, findings: tuple[Finding, ...]
) -> Subject:
    folders: dict[str, tuple[Path, Path | None]] = {
        split: config.folders(split) for split in config.splits
    }
    return Subject(file.parent, file, content, config, folders, config.mask_names, findings)


def as_content(config: DataConfig) -> dict[str, Any]:
    """The keys of a data.yaml that says the same as a classes.csv."""
    void = config.classes.ignore_index
    told = {raw: "ignore" if i == void else i for raw, i in config.values.values.items()}
    places = {"train": config.train, "val": config.val, "test": config.test}
    return {
        **{split: place for split, place in places.items() if place is not None},
        "names": dict(enumerate(config.classes.names)),
        "palette": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in config.classes.palette],
        "map": dict(sorted(told.items())),
    }


def with_repairs(subject: Subject, content: Mapping[str, Any]) -> Subject:
    """The subject as a changed description has it.

    Raises:
        InputError: The description is not right.
    """
    file = subject.file or subject.root / "data.yaml"
    config = DataConfig.of(file, content)
    return replace(_of_config(file, content, config, ()), root=subject.root)
