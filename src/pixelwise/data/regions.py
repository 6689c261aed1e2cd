"""Boxes to look into, and the numbers that a COCO file gives to pictures.

A CSV has the columns file,left,top,width,height and, where one likes, figure and score. COCO files
hold `images` and `annotations`, or are a list of detections, which name pictures by `image_id`.
Boxes are edges: a box of one pixel, the first, is 0, 0, 1, 1.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelwise.data.points.text import FAR, picture_path, read_rows, read_text
from pixelwise.errors import InputError

Side = int | float
Box = tuple[Side, Side, Side, Side]
"""Left, top, width and height in pixels."""
SIDES = ("left", "top", "width", "height")
GIVE = "give a CSV with file,left,top,width,height, or COCO annotations or detections"


@dataclass(frozen=True)
class Region:
    """A box in a picture.

    Args:
        box: Left, top, width and height.
        where: The file and its line or entry, for messages.
        figure: Number of the thing in the box; None: it has none.
        score: Of the detection.
        category_id: The number of the thing's kind in a COCO file.
    """

    box: Box
    where: str
    figure: int | None = None
    score: float = 1.0
    category_id: int | None = None

    def check_inside(self, size: tuple[int, int]) -> None:
        """Raise where no part of the box lies in a picture of so many rows and columns."""
        left, top, width, height = self.box
        if left >= size[1] or top >= size[0] or left + width <= 0 or top + height <= 0:
            raise InputError(
                f"{self.where}: box ({left:g}, {top:g}, {width:g}, {height:g}) lies outside of the"
                f" picture of {size[1]} x {size[0]} pixels; correct or remove it"
            )


@dataclass(frozen=True)
class Regions:
    """What files say of the pictures that are looked at.

    Args:
        boxes: Of each picture, none for some; None: pictures are looked at as a whole.
        image_ids: The number of each picture; without any, pictures are numbered from 1.
        category_id: The number of the things' kind.
        names: Of the points in their order there; empty: not known.
        elsewhere: Boxes of other pictures.
    """

    boxes: Mapping[Path, tuple[Region, ...]] | None = None
    image_ids: Mapping[Path, int] = field(default_factory=dict)
    category_id: int = 1
    names: tuple[str, ...] = ()
    elsewhere: int = 0


def read_regions(
    pictures: Sequence[Path],
    boxes: str | Path | None = None,
    image_ids: str | Path | None = None,
    names: Sequence[str] = (),
) -> Regions:
    """What the files say of `pictures`.

    Args:
        pictures: Paths as they are given.
        boxes: File of boxes.
        image_ids: COCO file whose `images` number the pictures.
        names: Of the points; a category of the file that has the same ones is taken.

    Raises:
        InputError: No such file, none of its kinds, a box without area or that is no number, a box
            of a file that is not there, or a picture without a number.
    """
    given = _Pictures(pictures)
    numbers = {} if image_ids is None else _coco(Path(image_ids))
    content: Any = None
    if boxes is not None:
        content = _parsed(Path(boxes))
        if image_ids is None and isinstance(content, dict):
            numbers = content
    ids, others = _numbered(given, Path(image_ids or boxes or ""), numbers)
    if image_ids is not None and (without := [p for p in pictures if p not in ids]):
        raise InputError(
            f"{image_ids}: has no image {without[0].name!r}; add it to `images`, or leave it out"
        )
    category_id, order = _category(numbers, names)
    if boxes is None:
        return Regions(None, ids, category_id, order)
    if isinstance(content, list) and not numbers:
        ids = _by_stem(pictures, Path(boxes))
    found, elsewhere = _boxes(given, Path(boxes), content, ids, others)
    return Regions(found, ids, category_id, order, elsewhere)


def _boxes(
    given: "_Pictures", file: Path, content: Any, ids: Mapping[Path, int], others: set[int]
) -> tuple[dict[Path, tuple[Region, ...]], int]:
    found: dict[Path, list[Region]] = {picture: [] for picture in given.pictures}
    elsewhere = 0
    if isinstance(content, str):
        rows = _of_table(file, content)
        places = given.all([(name, region.where) for name, region in rows], file)
        regions = [(places[name], region) for name, region in rows]
    else:
        entries = content if isinstance(content, list) else _list(file, content, "annotations")
        by_number = {number: picture for picture, number in ids.items()}
        regions = []
        for number, region in _of_entries(file, entries):
            if number not in by_number and number not in others:
                raise InputError(
                    f"{region.where}: image_id={number}: is none of the pictures; say their numbers"
                    " with --image-ids, a COCO file with `images`"
                )
            regions.append((by_number.get(number), region))
    for picture, region in regions:
        if picture is None:
            elsewhere += 1
        else:
            found[picture].append(region)
    for of_one in found.values():
        twice = [n for n, c in Counter(r.figure for r in of_one).items() if c > 1 and n is not None]
        if twice:
            where = [region.where for region in of_one if region.figure == twice[0]][1]
            raise InputError(f"{where}: figure={twice[0]}: has a box before; number each once")
    return {picture: tuple(of_one) for picture, of_one in found.items()}, elsewhere


def _by_stem(pictures: Sequence[Path], file: Path) -> dict[Path, int]:
    """Pictures whose names are their numbers, as those of COCO."""
    ids = {p: int(p.stem) for p in pictures if p.stem.isdecimal()}
    twice = [n for n, count in Counter(ids.values()).items() if count > 1]
    if twice:
        raise InputError(
            f"{file}: image_id={twice[0]}: may be two pictures of that number; say which with"
            " --image-ids"
        )
    return ids


def _of_table(file: Path, text: str) -> list[tuple[Path, Region]]:
    rows = read_rows(file, text)
    columns = {cell.lower(): i for i, cell in enumerate(rows[0][1])}
    lacking = [name for name in ("file", *SIDES) if name not in columns]
    if lacking:
        raise InputError(f"{file}: has no column {lacking[0]!r}; {GIVE}")
    found = []
    for line, cells in rows[1:]:
        where = f"{file}, line {line}"
        if len(cells) != len(rows[0][1]):
            raise InputError(
                f"{where}: has {len(cells)} of {len(rows[0][1])} columns; correct the row"
            )
        row = {name: cells[i] for name, i in columns.items()}
        box = [_number(row[side].replace(",", "."), side, where) for side in SIDES]
        told = row.get("figure", "")
        if told and not (told.isdecimal() and len(told) < 16):
            raise InputError(f"{where}: figure={told!r}: must be a whole number; number them")
        score = _number(row["score"], "score", where) if row.get("score") else 1.0
        region = Region(_area(box, where), where, int(told) if told else None, score)
        found.append((picture_path(row["file"], where), region))
    return found


def _of_entries(file: Path, entries: Sequence[Any]) -> list[tuple[int, Region]]:
    found = []
    for i, entry in enumerate(entries):
        where = f"{file}: entry {i}"
        if not isinstance(entry, dict) or type(entry.get("image_id")) is not int:
            raise InputError(f"{where}: has no image_id that is a whole number; {GIVE}")
        if entry.get("iscrowd"):
            continue
        sides = entry.get("bbox")
        if not isinstance(sides, list) or len(sides) != 4:
            raise InputError(f"{where}: bbox={sides!r}: must be left, top, width, height; add it")
        box = [_number(side, name, where) for side, name in zip(sides, SIDES, strict=True)]
        score = _number(entry.get("score", 1.0), "score", where)
        number, kind = entry.get("id"), entry.get("category_id")
        region = Region(
            _area(box, where),
            where,
            number if type(number) is int else None,
            score,
            kind if type(kind) is int else None,
        )
        found.append((entry["image_id"], region))
    return found


def _number(value: object, name: str, where: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not abs(number) < FAR:
        raise InputError(f"{where}: {name}={value!r}: must be a number of pixels; correct it")
    return number


def _area(box: Sequence[float], where: str) -> Box:
    left, top, width, height = box
    if not (width > 0 and height > 0):
        raise InputError(
            f"{where}: box ({left:g}, {top:g}, {width:g}, {height:g}) has no area; give a width and"
            " a height above 0"
        )
    return left, top, width, height


def _numbered(
    given: "_Pictures", file: Path, content: Mapping[str, Any]
) -> tuple[dict[Path, int], set[int]]:
    """The numbers of the given pictures, and those of all other pictures."""
    if not content:
        return {}, set()
    names: list[tuple[Path, str]] = []
    numbers: dict[Path, int] = {}
    for i, entry in enumerate(_list(file, content, "images")):
        where = f"{file}: images[{i}]"
        number = entry.get("id") if isinstance(entry, dict) else None
        if type(number) is not int:
            raise InputError(f"{where}: id={number!r}: must be a whole number; give one")
        name = picture_path(entry.get("file_name"), where)
        if numbers.setdefault(name, number) != number:
            raise InputError(f"{where}: {name} has number {numbers[name]} before; give it one")
        names.append((name, where))
    if len({*numbers.values()}) < len(numbers):
        raise InputError(f"{file}: two of `images` have one id; give each its own")
    places = given.all(names, None)
    ids = {place: numbers[name] for name, place in places.items() if place is not None}
    return ids, {*numbers.values()} - {*ids.values()}


def _category(content: Mapping[str, Any], names: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """The number of the kind with these points, and their order."""
    listed = content.get("categories")
    kinds = [
        (kind["id"], tuple(map(str, kind.get("keypoints") or ())))
        for kind in (listed if isinstance(listed, list) else ())
        if isinstance(kind, dict) and type(kind.get("id")) is int
    ]
    for number, points in kinds:
        if points and sorted(points) == sorted(names):
            return number, points
    return (kinds[0][0], ()) if len(kinds) == 1 else (1, ())


def _parsed(file: Path) -> Any:
    """The text of a table, or what a JSON file holds."""
    text = read_text(file)
    if text.lstrip()[0] not in "{[":
        return text
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        told = " ".join(str(error).split())[:80]
        raise InputError(f"{file}: not whole JSON ({told}); copy or save it again") from None
    return content


def _coco(file: Path) -> dict[str, Any]:
    content = _parsed(file)
    if not isinstance(content, dict):
        raise InputError(f"{file}: has no list 'images'; give a COCO file with them")
    return content


def _list(file: Path, content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise InputError(f"{file}: has no list {key!r}; give a COCO file with {key}")
    return value


class _Pictures:
    """Pictures by what files may call them: the path, its end, or the name alone."""

    def __init__(self, pictures: Sequence[Path]) -> None:
        self.pictures = pictures
        self._by_name: dict[str, list[Path]] = {}
        for picture in pictures:
            self._by_name.setdefault(picture.name, []).append(picture)

    def all(self, names: Sequence[tuple[Path, str]], file: Path | None) -> dict[Path, Path | None]:
        """The picture that each name means; None: one that is not given.

        `file` says where the names stand, and that a picture must be there.
        """
        places = dict(reversed(names))
        counts = Counter(name.name for name in places)
        return {
            name: self._find(name, places[name], file, alone=counts[name.name] == 1)
            for name in places
        }

    def _find(self, name: Path, where: str, file: Path | None, *, alone: bool) -> Path | None:
        candidates = self._by_name.get(name.name, [])
        parts = tuple(part for part in name.parts if part not in {"..", "."})
        found = [p for p in candidates if p.absolute().parts[-len(parts) :] == parts]
        beside = [] if file is None else [file.parent / name, name]
        if not found and any(place.is_file() for place in beside):
            return None
        found = found or (candidates if alone else [])
        if len(found) > 1:
            raise InputError(
                f"{where}: {name} may be {found[0]} or {found[1]}; write more of its path"
            )
        if found:
            return found[0]
        folders = {picture.parent for picture in self.pictures}
        if file is not None and not any((folder / name).is_file() for folder in folders):
            raise InputError(
                f"{where}: file={name.as_posix()!r}: no such picture; correct its name, or remove"
                " the row"
            )
        return None
