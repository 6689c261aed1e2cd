"""How pictures are shared out to splits where the data set does not say.

Neighbouring frames of a video are nearly the same picture. So whole folders go to one split, or,
where there is one folder alone, whole blocks of frames that follow each other by name.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixelwise.checks import in_range, one_of
from pixelwise.data import keys
from pixelwise.errors import InputError, unknown

WAYS = ("auto", "folder", "block", "picture")
BLOCKS = 10
"""So many blocks there are where pictures suffice."""
SHORTEST = 5
"""Frames of a block, where that is not more than the smallest share."""
NAMED = 3  # folders that a line names


@dataclass(frozen=True)
class Shares:
    """How pictures are shared out to splits by chance.

    Args:
        val: Share of the pictures; likewise `test`. The rest is train.
        by: What stays together: a "folder", a "block" of neighbouring frames, or nothing
            ("picture"). "auto": folders where there are enough for all splits, else blocks.
        seed: Of the chance.
    """

    val: float = 0.2
    test: float = 0.0
    by: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Shared:
    """Pictures that were shared out.

    Args:
        splits: Picture -> "train", "val" or "test".
        told: What was done, in words; empty where all is train.
    """

    splits: Mapping[Path, str]
    told: str


def parse_shares(value: object) -> Shares:
    """`split:` of a data.yaml.

    Raises:
        InputError: An unknown key or way, or shares that leave nothing to train.
    """
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
    by, seed = value.get("by", "auto"), value.get("seed", 0)
    if val is None or test is None:
        raise InputError("split: val and test must be shares from 0 to 1; e.g. {val: 0.2}")
    in_range(0, 1, val=val)
    in_range(0, 1, test=test)
    if val + test >= 1:
        raise InputError(f"split: val {val:g} and test {test:g} leave nothing to train; lower them")
    if type(seed) is not int:
        raise InputError(f"seed={seed!r}: must be a whole number; e.g. 0")
    one_of(WAYS, by=str(by))
    return Shares(val, test, str(by), seed)


def share_out(pictures: Iterable[Path], shares: Shares) -> Shared:
    """Give every picture a split.

    Raises:
        InputError: A split would have no picture.
    """
    files = sorted(set(pictures), key=in_order)
    wanted = {split: s for split, s in (("test", shares.test), ("val", shares.val)) if s > 0}
    folders = {file.parent for file in files}
    by = shares.by
    if by == "auto":
        by = "folder" if len(folders) > len(wanted) else "block"
    if by == "folder":
        groups = {file: file.parent for file in files}
    elif by == "block":
        smallest = int(len(files) * min(wanted.values(), default=1))
        groups = _blocks(files, max(1, min(smallest, max(SHORTEST, len(files) // BLOCKS))))
    else:
        groups = {file: file for file in files}
    of = _dealt(groups, wanted, shares.seed)
    splits = {file: of.get(group, "train") for file, group in groups.items()}
    counts = Counter(splits.values())
    for split in ("train", *reversed(wanted)):
        if not counts[split]:
            raise InputError(
                f"split: leaves no {by} for {split!r} of {len({*groups.values()})} in the labels;"
                f" label more,{' write `by: block`,' * (by == 'folder')} or lower the shares"
            )
    shown = [
        f"{split} {_named(of, split) if by == 'folder' else ''}{counts[split]}"
        for split in reversed(wanted)
    ]
    how = {
        "folder": f"split by folder, {len(folders)} of them",
        "block": f"split in {len({*groups.values()})} blocks of neighbouring frames",
        "picture": "split picture by picture, neighbouring frames of a video apart",
    }
    if not wanted:
        return Shared(splits, "")
    return Shared(splits, f"{how[by]}: {', '.join(shown)} of {len(files)} pictures")


def in_order(file: Path) -> tuple[str, ...]:
    """A key that sorts img2 before img10."""
    parts = re.split(r"(\d+)", file.as_posix())
    return tuple(part.zfill(20) if part.isdecimal() else part for part in parts)


def _blocks(files: Sequence[Path], longest: int) -> dict[Path, Path]:
    """File -> the first one of its block; a block lies in one folder."""
    of_folder: dict[Path, list[Path]] = {}
    for file in files:
        of_folder.setdefault(file.parent, []).append(file)
    groups = {}
    for inside in of_folder.values():
        pieces = -(-len(inside) // longest)
        for i, file in enumerate(inside):
            first = -(-(i * pieces // len(inside)) * len(inside) // pieces)
            groups[file] = inside[first]
    return groups


def _dealt(groups: Mapping[Path, Path], wanted: Mapping[str, float], seed: int) -> dict[Path, str]:
    """Group -> split, in an order by chance, while that brings a split nearer to its share."""
    sizes = Counter(groups.values())
    order = sorted(sizes, key=in_order)
    random.Random(seed).shuffle(order)
    of: dict[Path, str] = {}
    for split, share in wanted.items():
        most, got = share * len(groups), 0
        free = [group for group in order if group not in of]
        for group in free:
            if abs(got + sizes[group] - most) < abs(got - most):
                of[group], got = split, got + sizes[group]
        if not got and free:
            of[min(free, key=sizes.__getitem__)] = split
    return of


def _named(of: Mapping[Path, str], split: str) -> str:
    names = sorted(folder.name for folder, its in of.items() if its == split)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}: "
