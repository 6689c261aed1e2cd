"""How pictures are shared out to splits where the data set does not say.

Neighbouring frames of a video are nearly the same picture. So whole folders go to one split, or,
where there is one folder alone, whole blocks of frames that follow each other by name.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixelwise.checks import in_range, one_of
from pixelwise.data import keys, splitting
from pixelwise.errors import InputError, unknown
from pixelwise.language import message

WAYS = ("auto", "folder", "block", "picture")
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
        groups = {file: file.parent.as_posix() for file in files}
    elif by == "block":
        smallest = int(len(files) * min(wanted.values(), default=1))
        groups = _blocks(files, splitting.longest_block(len(files), smallest))
    else:
        groups = {file: file.as_posix() for file in files}
    sizes = Counter(groups.values())
    of = splitting.dealt(splitting.by_chance(sizes, shares.seed), sizes, wanted)
    splits = {file: of.get(group, "train") for file, group in groups.items()}
    counts = Counter(splits.values())
    for split in ("train", *reversed(wanted)):
        if not counts[split]:
            raise InputError(
                f"split: leaves no {by} for {split!r} of {len(sizes)} in the labels;"
                f" label more,{' write `by: block`,' * (by == 'folder')} or lower the shares"
            )
    shown = [
        f"{split} {_named(of, split) if by == 'folder' else ''}{counts[split]}"
        for split in reversed(wanted)
    ]
    how = {
        "folder": message("split by folder, {folders} of them", folders=len(folders)),
        "block": message("split in {sizes} blocks of neighbouring frames", sizes=len(sizes)),
        "picture": message("split picture by picture, neighbouring frames of a video apart"),
    }
    if not wanted:
        return Shared(splits, "")
    return Shared(
        splits,
        message(
            "{how}: {shown} of {files} pictures",
            how=how[by],
            shown=", ".join(shown),
            files=len(files),
        ),
    )


def in_order(file: Path) -> tuple[str, ...]:
    """A key that sorts img2 before img10."""
    return splitting.in_order(file.as_posix())


def _blocks(files: Sequence[Path], longest: int) -> dict[Path, str]:
    """File -> the first one of its block; a block lies in one folder."""
    numbered = splitting.blocks((file.as_posix() for file in files), longest)
    first: dict[tuple[str, int], str] = {}
    return {f: first.setdefault(numbered[f.as_posix()], f.as_posix()) for f in files}


def _named(of: Mapping[str, str], split: str) -> str:
    names = sorted(Path(folder).name for folder, its in of.items() if its == split)
    more = message(" and {named} more", named=len(names) - NAMED) if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}: "
