"""data.yaml of a data set with points.

labels: labels.csv                       # or {train: a.json, val: b.json}
train: train/images                      # folders of pictures, or .txt lists of their names
val: val/images                          # without any: split: {val: 0.2, by: folder, seed: 0}
points: [nose, left_ear, right_ear]      # by default as the labels name them
pairs: [[left_ear, right_ear]]           # swapped by a mirror; by default as names tell
skeleton: [[nose, left_ear]]             # lines to draw
sigmas: {nose: 0.03, left_ear: 0.04, right_ear: 0.04}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.checks import in_range, one_of
from pixelwise.data import keys
from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.data.config import SPLITS
from pixelwise.data.points.labels import PointLabels
from pixelwise.data.points.reading import read_points
from pixelwise.data.points.skeleton import Skeleton, paired_by_name
from pixelwise.errors import InputError, suggestion, unknown

KEYS = (
    "path", "train", "val", "test", "labels", "points", "pairs", "skeleton", "sigmas", "split",
    "bands", "scale", "nodata", "max_megapixels",
)  # fmt: skip


@dataclass(frozen=True)
class Shares:
    """How pictures are shared out to splits by chance.

    Args:
        val: Share of the pictures; likewise `test`. The rest is train.
        by: "picture", or "folder" to keep the pictures of a folder together.
        seed: Of the chance.
    """

    val: float = 0.2
    test: float = 0.0
    by: str = "picture"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class PointsConfig:
    """A checked data.yaml with points, and the labels it names.

    Args:
        file: The file that states all this; error messages name it.
        path: The folder that all places are relative to.
        skeleton: The points.
        labels: Per split; under "all", those of all splits.
        places: Split -> folder of pictures or .txt list; empty where there is none.
        shares: How pictures are shared out; None: by `places` or by files of labels.
        bands: Which bands of the pictures to read, counted from 0; None: all.
        scale: The raw value that means 1.0; None: by the pictures' type.
        nodata: Values of the pictures that mean "no data", beside what their files say.
        max_megapixels: Larger pictures are refused, unless they are TIFFs.
    """

    file: Path
    path: Path
    skeleton: Skeleton
    labels: Mapping[str, PointLabels]
    places: Mapping[str, Path]
    shares: Shares | None
    bands: tuple[int, ...] | None = None
    scale: float | None = None
    nodata: tuple[float, ...] = ()
    max_megapixels: float = MAX_MEGAPIXELS

    @classmethod
    def load(cls, path: str | Path) -> "PointsConfig":
        """Read and check a data.yaml and the labels it names.

        Raises:
            InputError: A key is unknown or its value wrong, a point has no such name, a file of
                labels is missing or wrong, or two of them have other names.
        """
        file = Path(path)
        content = yaml_files.read(file, "write at least labels")
        try:
            for key in content:
                if key not in KEYS:
                    raise unknown("key", str(key), KEYS)
            return _build(file, content)
        except OSError as error:  # a name that no file can have
            raise InputError(
                f"{file}: a place in it cannot be read ({error.strerror}); check its paths"
            ) from None
        except InputError as error:
            at = str(file)
            raise (error if at in str(error) else InputError(f"{at}: {error}")) from None


def _build(file: Path, content: Mapping[str, Any]) -> PointsConfig:
    root = keys.root(file, content)
    told = _names(content["points"]) if "points" in content else None
    labels = _labels(content.get("labels"), root, told)
    names = next(iter(labels.values())).names
    pairs = _joined(content["pairs"], "pairs", names) if "pairs" in content else None
    pairs = paired_by_name(names) if pairs is None else pairs
    edges = _joined(content.get("skeleton"), "skeleton", names)
    if "skeleton" not in content:
        edges = next(iter(labels.values())).edges
    skeleton = Skeleton(names, pairs, edges, _sigmas(content.get("sigmas"), names))
    places = {s: root / text for s in SPLITS if (text := keys.text(content, s, None)) is not None}
    for split, place in places.items():
        if not (place.is_dir() or (place.suffix.lower() == ".txt" and place.is_file())):
            raise InputError(
                f"{split}: its pictures should be in {place}, which is neither a folder nor a .txt"
                " list; check the path"
            )
    lacking = [split for split in places if "all" not in labels and split not in labels]
    if lacking:
        raise InputError(f"labels: has no file for {lacking[0]!r}; add one")
    shared = "all" in labels and not places
    if "split" in content and not shared:
        raise InputError("split: the splits are told already; remove `split:`, or train and val")
    return PointsConfig(
        file=file,
        path=root,
        skeleton=skeleton,
        labels=labels,
        places=places,
        shares=_shares(content.get("split")) if shared else None,
        bands=keys.bands(content.get("bands")),
        scale=keys.scale(content.get("scale")),
        nodata=keys.nodata(content.get("nodata")),
        max_megapixels=keys.max_megapixels(content.get("max_megapixels")),
    )


def _labels(value: object, root: Path, told: tuple[str, ...] | None) -> dict[str, PointLabels]:
    files = {"all": value} if isinstance(value, str) else value
    if (
        not isinstance(files, dict)
        or not files
        or not all(isinstance(f, str) for f in files.values())
    ):
        raise InputError(
            f"labels={value!r}: must be a file, or {{train: file, val: file}}; e.g. labels.csv"
        )
    for split in files:
        if split not in (*SPLITS, "all"):
            raise unknown("split", str(split), SPLITS)
    if "all" in files and len(files) > 1:
        raise InputError("labels: has a file for all splits beside others; keep one or the others")
    read = {split: read_points(root / text) for split, text in files.items() if text}
    if len(read) < len(files):
        raise InputError("labels: a name is empty; write the file")
    first = next(iter(read.values()))
    for other in read.values():
        if told is None and {*other.names} != {*first.names}:
            odd = sorted({*other.names} ^ {*first.names})[0]
            raise InputError(
                f"{other.file}: its points are not those of {first.file} ({odd!r} is in one only);"
                " correct the names, or list all in `points:`"
            )
    return {split: labels.ordered(told or first.names) for split, labels in read.items()}


def _names(value: object) -> tuple[str, ...]:
    if (
        isinstance(value, list)
        and value
        and all(
            isinstance(n, str | int) and not isinstance(n, bool) and str(n).strip() for n in value
        )
    ):
        return tuple(str(name).strip() for name in value)
    raise InputError(f"points={value!r}: must list names; e.g. [nose, left_ear, right_ear]")


def _joined(value: object, key: str, names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(p, list) and len(p) == 2 for p in value):
        raise InputError(f"{key}={value!r}: must list pairs of names; e.g. [[left_ear, right_ear]]")
    for name in (str(name) for pair in value for name in pair):
        if name not in names:
            raise InputError(f"{key}: {name!r} names no point; {suggestion(name, names)}")
    return tuple((names.index(str(a)), names.index(str(b))) for a, b in value)


def _sigmas(value: object, names: tuple[str, ...]) -> tuple[float, ...] | None:
    if value is None:
        return None
    if isinstance(value, dict):
        for name in value:
            if str(name) not in names:
                raise InputError(
                    f"sigmas: {str(name)!r} names no point; {suggestion(str(name), names)}"
                )
        told = {str(name): sigma for name, sigma in value.items()}
        lacking = [name for name in names if name not in told]
        if lacking:
            raise InputError(f"sigmas: has none of {lacking[0]!r}; give one per point")
        value = [told[name] for name in names]
    numbers = [keys.as_float(sigma) for sigma in value] if isinstance(value, list) else []
    known = tuple(number for number in numbers if number is not None)
    if not known or len(known) < len(numbers):
        raise InputError(f"sigmas={value!r}: must be a number per point; e.g. [0.03, 0.04]")
    return known


def _shares(value: object) -> Shares:
    if value is None:
        return Shares()
    if not isinstance(value, dict):
        raise InputError(f"split={value!r}: must be like {{val: 0.2, by: folder}}; write shares")
    for key in value:
        if key not in ("val", "test", "by", "seed"):
            raise unknown("key", str(key), ("val", "test", "by", "seed"), "of split")
    val, test = (
        keys.as_float(value.get(key, default)) for key, default in (("val", 0.2), ("test", 0.0))
    )
    by, seed = value.get("by", "picture"), value.get("seed", 0)
    if val is None or test is None:
        raise InputError("split: val and test must be shares from 0 to 1; e.g. {val: 0.2}")
    in_range(0, 1, val=val)
    in_range(0, 1, test=test)
    if val + test >= 1:
        raise InputError(f"split: val {val:g} and test {test:g} leave nothing to train; lower them")
    if type(seed) is not int:
        raise InputError(f"seed={seed!r}: must be a whole number; e.g. 0")
    one_of(("folder", "picture"), by=str(by))
    return Shares(val, test, str(by), seed)
