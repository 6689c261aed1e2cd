"""data.yaml of a data set with points.

labels: labels.csv                       # or a list, a pattern, or {train: a.json, val: b.json}
train: train/images                      # folders of pictures, or .txt lists of their names
val: val/images                          # without any: split: {val: 0.2, by: folder, seed: 0}
category: mouse                          # of COCO files; by default all
points: [nose, left_ear, right_ear]      # by default as the labels name them
pairs: [[left_ear, right_ear]]           # swapped by a mirror; by default as names tell
skeleton: [[nose, left_ear]]             # lines to draw
sigmas: {nose: 0.03, left_ear: 0.04, right_ear: 0.04}
repeated: second.csv                     # or: labels of the same pictures by another person
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.data import keys
from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.data.config import SPLITS
from pixelwise.data.points.label_files import Labels, files_of, read_labels
from pixelwise.data.points.reading import read_points
from pixelwise.data.points.repeated import sigmas_from, with_areas
from pixelwise.data.points.sharing import Shares, parse_shares
from pixelwise.data.points.skeleton import Skeleton, paired_by_name
from pixelwise.errors import InputError, suggestion, unknown
from pixelwise.language import message

KEYS = (
    "path", "train", "val", "test", "labels", "category", "points", "pairs", "skeleton", "sigmas",
    "repeated", "split", "bands", "scale", "nodata", "max_megapixels",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PointsConfig:
    """A checked data.yaml with points, and the labels it names.

    Args:
        file: The file that states all this; error messages name it.
        path: The folder that all places are relative to.
        skeleton: The points.
        labels: Files per split; under "all", those of all splits.
        places: Split -> folder of pictures or .txt list; empty where there is none.
        shares: How pictures are shared out; None: by `places` or by files of labels.
        estimated: From what the sigmas were estimated, in words; empty: they were not.
        bands: Which bands of the pictures to read, counted from 0; None: all.
        scale: The raw value that means 1.0; None: by the pictures' type.
        nodata: Values of the pictures that mean "no data", beside what their files say.
        max_megapixels: Larger pictures are refused, unless they are TIFFs.
    """

    file: Path
    path: Path
    skeleton: Skeleton
    labels: Labels
    places: Mapping[str, Path]
    shares: Shares | None
    estimated: str = ""
    bands: tuple[int, ...] | None = None
    scale: float | None = None
    nodata: tuple[float, ...] = ()
    max_megapixels: float = MAX_MEGAPIXELS

    @classmethod
    def load(cls, path: str | Path) -> "PointsConfig":
        """Read and check a data.yaml and the labels it names; see `of`."""
        file = Path(path)
        return cls.of(file, yaml_files.read(file, "write at least labels"))

    @classmethod
    def of(cls, file: Path, content: Mapping[Any, Any], root: Path | None = None) -> "PointsConfig":
        """Check the content of a data.yaml, and the labels it names.

        Args:
            file: The data.yaml, or what stands for it.
            content: Its keys and values.
            root: What places are relative to; None: as the content says.

        Raises:
            InputError: A key is unknown or its value wrong, a point has no such name, a file of
                labels is missing or wrong, or two of them have other names.
        """
        with keys.told_with(file):
            for key in content:
                if key not in KEYS:
                    raise unknown("key", str(key), KEYS)
            return _build(file, content, root or keys.root(file, content))


def _build(file: Path, content: Mapping[str, Any], root: Path) -> PointsConfig:
    told = _names(content["points"]) if "points" in content else None
    category = content.get("category")
    if isinstance(category, bool) or not isinstance(category, str | int | None):
        raise InputError(f"category={category!r}: must be a name or an id; write one")
    labels = read_labels(content.get("labels"), root, told, category)
    first = next(iter(labels.values()))[0]
    names = first.names
    pairs = _joined(content["pairs"], "pairs", names) if "pairs" in content else None
    pairs = paired_by_name(names) if pairs is None else pairs
    edges = _joined(content.get("skeleton"), "skeleton", names)
    if "skeleton" not in content:
        edges = first.edges
    sigmas, estimated = _sigmas(content.get("sigmas"), names), ""
    if "repeated" in content:
        if sigmas is not None:
            raise InputError("repeated: estimates sigmas, but `sigmas:` gives them; keep one")
        labels, sigmas, estimated = _repeated(content["repeated"], root, labels, category)
    skeleton = Skeleton(names, pairs, edges, sigmas)
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
        shares=parse_shares(content.get("split")) if shared else None,
        estimated=estimated,
        bands=keys.bands(content.get("bands")),
        scale=keys.scale(content.get("scale")),
        nodata=keys.nodata(content.get("nodata")),
        max_megapixels=keys.max_megapixels(content.get("max_megapixels")),
    )


def _repeated(
    value: object, root: Path, labels: Labels, category: str | int | None
) -> tuple[Labels, tuple[float, ...], str]:
    """The labels, all with areas, the sigmas, and from what those were estimated."""
    every = [one for its in labels.values() for one in its]
    files = files_of(value, root, "repeated")
    for one in every:
        if one.file.absolute() in {file.absolute() for file in files}:
            raise InputError(f"repeated: {one.file} holds the labels; name those of another person")
    second = [read_points(file, category).ordered(every[0].names) for file in files]
    lacking = any(not figure.area for one in every for figure in one.figures)
    sized = iter(with_areas(every))
    labels = {split: tuple(next(sized) for _ in its) for split, its in labels.items()}
    sigmas, count = sigmas_from([one for its in labels.values() for one in its], second)
    areas = message(", areas are those of boxes around the points") if lacking else ""
    return (
        labels,
        sigmas,
        message("sigmas from {count} figures labelled twice{areas}", count=count, areas=areas),
    )


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
    for a, b in value:
        if a == b:
            raise InputError(f"{key}: joins {str(a)!r} with itself; name two different points")
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
