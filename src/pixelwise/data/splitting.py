"""`split:` of a data.yaml: pictures shared out by chance, in groups, or dealt into folds.

split: {val: 0.2, test: 0.1, by: folder, seed: 0}
split: {folds: 5, fold: 0, by: "*_*"}        # by what the first star is: scene7_0001.png, scene7
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pixelwise.checks import in_range
from pixelwise.data import keys
from pixelwise.errors import InputError, unknown

WAYS = ("picture", "folder", "block")
BLOCKS = 10
"""So many blocks there are where pictures suffice."""
SHORTEST = 5
"""Pictures of a block, where that is not more than the smallest share."""
KEYS = ("val", "test", "by", "seed", "folds", "fold")


@dataclass(frozen=True)
class Shares:
    """How pictures are shared out to splits.

    Args:
        val: Share of the pictures; likewise `test`. The rest is train.
        test: Share of the pictures.
        by: What stays together: nothing ("picture"), a "folder", a "block" of neighbours by name
            such as frames of a video, or, with a pattern of names, those in which the first star
            stands for the same text.
        seed: Of the chance.
        folds: In place of `val`: into so many parts, of which one is val; 0: no.
        fold: Which part is val, counted from 0.
    """

    val: float = 0.2
    test: float = 0.0
    by: str = "picture"
    seed: int = 0
    folds: int = 0
    fold: int = 0

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that get a share."""
        shares = {"train": 1.0, "val": self.val or self.folds, "test": self.test}
        return tuple(split for split, share in shares.items() if share)

    @classmethod
    def parse(cls, value: object) -> "Shares":
        """From `split:` of a data.yaml.

        Raises:
            InputError: An unknown key, or a value that cannot be.
        """
        if not isinstance(value, dict):
            raise InputError(
                f"split={value!r}: must be like {{val: 0.2, by: folder}}; write shares"
            )
        for key in value:
            if key not in KEYS:
                raise unknown("key", str(key), KEYS, "of split")
        if "val" in value and "folds" in value:
            raise InputError("split: has val and folds; keep one of them")
        if "fold" in value and "folds" not in value:
            raise InputError("split: has a fold, but not of how many; add folds, e.g. folds: 5")
        folds = _whole(value, "folds", 0)
        if "folds" in value:
            in_range(2, 1000, folds=folds)
        fold = _whole(value, "fold", 0)
        in_range(0, max(0, folds - 1), fold=fold)
        val, test = _share(value, "val", 0.0 if folds else 0.2), _share(value, "test", 0.0)
        if val + test >= 1:
            raise InputError(
                f"split: val {val:g} and test {test:g} leave nothing to train; lower them"
            )
        by = value.get("by", "picture")
        if by not in WAYS and not (isinstance(by, str) and "*" in by):
            raise InputError(
                f"by={by!r}: must be picture, folder, block, or a pattern of names with a star for"
                ' the group; e.g. "*_*"'
            )
        return cls(val, test, by, _whole(value, "seed", 0), folds, fold)


def share_out(pictures: Sequence[PurePath], shares: Shares) -> list[str]:
    """The split of each picture.

    Args:
        pictures: Relative to the data set, so that the place of it does not matter.
        shares: How.

    Raises:
        InputError: A split would have no picture, or a name does not fit the pattern.
    """
    if shares.by == "block":
        groups = _blocks(pictures, shares)
    else:
        groups = [_group(picture, shares.by) for picture in pictures]
    sizes = Counter(groups)
    of = deal(sizes, shares)
    found = [of[name] for name in groups]
    for split in shares.splits:
        if split not in found:
            what = "groups" if shares.by != "picture" else "pictures"
            raise InputError(
                f"split: {len(sizes)} {what} leave none for {split!r}; add some,"
                f"{' write `by: picture`,' * (shares.by != 'picture')} or lower the shares"
            )
    return found


def deal(sizes: Mapping[str, int], shares: Shares) -> dict[str, str]:
    """Group -> split.

    Args:
        sizes: Pictures, or pixels, of each group.
        shares: How.
    """
    order = by_chance(sizes, shares.seed)
    of = dealt(order, sizes, {"test": shares.test, "val": shares.val})
    if shares.folds:
        rest = [name for name in order if name not in of]
        of.update(dict.fromkeys(_of_fold(rest, sizes, shares), "val"))
    return {name: of.get(name, "train") for name in order}


def in_order(name: str) -> tuple[str, ...]:
    """A key that sorts img2 before img10."""
    parts = re.split(r"(\d+)", name)
    return tuple(part.zfill(20) if part.isdecimal() else part for part in parts)


def _blocks(pictures: Sequence[PurePath], shares: Shares) -> list[str]:
    """The block of each picture: some that follow each other by name, in one folder."""
    parts = shares.folds or 1 / min(s for s in (shares.val, shares.test, 1.0) if s > 0)
    longest = longest_block(len(pictures), int(len(pictures) / parts))
    found = blocks((picture.as_posix() for picture in pictures), longest)
    return ["{} {}".format(*found[picture.as_posix()]) for picture in pictures]


def by_chance(groups: Iterable[str], seed: int) -> list[str]:
    """Groups in an order that the seed alone decides."""
    order = sorted(groups, key=in_order)
    random.Random(seed).shuffle(order)
    return order


def dealt(
    order: Sequence[str], sizes: Mapping[str, int], shares: Mapping[str, float]
) -> dict[str, str]:
    """Group -> split: each takes groups while they bring it nearer to its share.

    Args:
        order: Of the groups.
        sizes: Pictures of each group.
        shares: Split -> its share of the pictures; 0: none.
    """
    of: dict[str, str] = {}
    for split, share in shares.items():
        most, got = share * sum(sizes.values()), 0
        free = [name for name in order if name not in of]
        for name in free:
            if abs(got + sizes[name] - most) < abs(got - most):
                of[name], got = split, got + sizes[name]
        if share and not got and free:
            of[min(free, key=sizes.__getitem__)] = split
    return of


def blocks(names: Iterable[str], longest: int) -> dict[str, tuple[str, int]]:
    """Name -> the first name of its folder, and the number of its block there.

    Blocks are names that follow each other, at most `longest` of them.
    """
    of_folder: dict[PurePath, list[str]] = {}
    for name in sorted(names, key=in_order):
        of_folder.setdefault(PurePath(name).parent, []).append(name)
    found: dict[str, tuple[str, int]] = {}
    for inside in of_folder.values():
        count = -(-len(inside) // longest)
        found.update({name: (inside[0], i * count // len(inside)) for i, name in enumerate(inside)})
    return found


def longest_block(pictures: int, smallest: int) -> int:
    """Pictures of a block, where the smallest split is to get so many."""
    return max(1, min(smallest, max(SHORTEST, pictures // BLOCKS)))


def _of_fold(names: Sequence[str], sizes: Mapping[str, int], shares: Shares) -> list[str]:
    """The groups of one fold: each, the largest first, went to the fold that had the least."""
    got = [0] * shares.folds
    chosen = []
    for name in sorted(names, key=lambda name: -sizes[name]):
        fold = got.index(min(got))
        got[fold] += sizes[name]
        if fold == shares.fold:
            chosen.append(name)
    return chosen


def _group(picture: PurePath, by: str) -> str:
    if by == "picture":
        return picture.as_posix()
    if by == "folder":
        return picture.parent.as_posix()
    before, *after = map(re.escape, by.split("*"))
    found = re.fullmatch(f"{before}(.+?){'.*'.join(after)}", picture.stem)
    if found is None:
        raise InputError(
            f"by={by!r}: {picture} does not fit this pattern; write one that all names fit, or "
            "folder"
        )
    return found[1]


def _share(value: Mapping[str, Any], key: str, default: float) -> float:
    share = keys.as_float(value.get(key, default))
    if share is None:
        raise InputError(f"split: {key}={value[key]!r}: must be a share from 0 to 1; e.g. 0.2")
    in_range(0, 1, **{key: share})
    return share


def _whole(value: Mapping[str, Any], key: str, default: int) -> int:
    number = value.get(key, default)
    if type(number) is not int:
        raise InputError(f"{key}={number!r}: must be a whole number; e.g. {default}")
    return number
