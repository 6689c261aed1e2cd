"""The files of labels that a data.yaml names: one, several, a pattern, or some per split."""

import glob
from collections.abc import Mapping
from pathlib import Path

from pixelwise.data.config import SPLITS
from pixelwise.data.points.labels import PointLabels
from pixelwise.data.points.reading import read_points
from pixelwise.data.points.sharing import in_order
from pixelwise.errors import InputError, unknown

Labels = Mapping[str, tuple[PointLabels, ...]]


def read_labels(
    value: object, root: Path, told: tuple[str, ...] | None, category: str | int | None
) -> Labels:
    """Split -> labels, or "all" -> those of all splits; all with the same points in one order.

    Args:
        value: `labels:` of a data.yaml.
        root: What its paths are relative to.
        told: Names and order of the points; None: those of the first file.
        category: Which figures of COCO files count; None: all.

    Raises:
        InputError: A file is missing or wrong, is there twice, or has other points.
    """
    named = value if isinstance(value, dict) else {"all": value}
    if not named or value is None:
        raise InputError(
            f"labels={value!r}: must be a file, a list or a pattern of files, or one per split,"
            " {train: a.csv, val: b.csv}; e.g. labels.csv"
        )
    for split in named:
        if split not in (*SPLITS, "all"):
            raise unknown("split", str(split), SPLITS)
    if "all" in named and len(named) > 1:
        raise InputError("labels: has a file for all splits beside others; keep one or the others")
    read = {
        split: tuple(read_points(file, category) for file in files_of(text, root, "labels"))
        for split, text in named.items()
    }
    first = next(iter(read.values()))[0]
    for other in (labels for several in read.values() for labels in several):
        if told is None and {*other.names} != {*first.names}:
            odd = sorted({*other.names} ^ {*first.names})[0]
            raise InputError(
                f"{other.file}: its points are not those of {first.file} ({odd!r} is in one only);"
                " correct the names, or list all in `points:`"
            )
    names = told or first.names
    return {split: tuple(one.ordered(names) for one in its) for split, its in read.items()}


def files_of(value: object, root: Path, key: str) -> list[Path]:
    """The files that a value names, in order.

    Raises:
        InputError: No text, a pattern of no file, or a file twice.
    """
    given = value if isinstance(value, list) else [value]
    texts = [text for text in given if isinstance(text, str) and text.strip()]
    if not texts or len(texts) < len(given):
        raise InputError(
            f"{key}={value!r}: must be a file, or a list or a pattern of files; e.g. labels.csv"
        )
    files: list[Path] = []
    for text in texts:
        file = root / text
        if not any(sign in text for sign in "*?[") or file.exists():
            files.append(file)
            continue
        names = glob.glob(text, root_dir=root, recursive=True)  # noqa: PTH207 -- absolute ones too
        found = sorted(map(Path, names), key=in_order)
        if not found:
            raise InputError(f"{key}={text!r}: no file below {root} has such a name; correct it")
        files += [root / name for name in found]
    places = [file.absolute() for file in files]
    for file, place in zip(files, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{key}: {file} stands twice; name it once")
    return files
