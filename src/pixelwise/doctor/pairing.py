"""Which mask belongs to which picture, also where the names are not as they should be."""

import bisect
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from pixelwise.data.listing import is_hidden
from pixelwise.data.mask_names import MaskNames
from pixelwise.data.reading import MASK_SUFFIXES, NUMBER_SUFFIXES, PICTURE_SUFFIXES

READABLE = PICTURE_SUFFIXES | {".gif", ".npy"}
FOREIGN = frozenset(
    {
        ".gif",
        ".heic",
        ".heif",
        ".jp2",
        ".avif",
        ".svg",
        ".pdf",
        ".psd",
        ".raw",
        ".dcm",
        ".npy",
        ".mat",
    }
)
"""Suffixes of pictures that are passed over."""
LIKELY = ("label", "mask", "ids", "labelids", "gt", "seg")
"""Words in the names of masks: Cityscapes has coloured copies beside them."""
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
SYSTEM = frozenset({"Thumbs.db", "desktop.ini"})
ASKED = 200
"""So many pictures are asked for the pattern of their masks' names."""


@dataclass(frozen=True)
class Listing:
    """The files below a folder, relative to it.

    Args:
        pictures: What may be pictures or masks.
        hidden: What is passed over.
        foreign: Pictures of kinds that are not read.
        archives: Archives, which nobody looks into.
    """

    pictures: tuple[Path, ...]
    hidden: tuple[Path, ...]
    foreign: tuple[Path, ...]
    archives: tuple[Path, ...] = ()


def listed(folder: Path) -> Listing:
    """Look through a folder."""
    pictures, hidden, foreign, archives = [], [], [], []
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder)
        suffix = file.suffix.lower()
        if file.is_dir() and suffix not in READABLE:
            continue
        if is_hidden(place) or file.name in SYSTEM:
            hidden.append(place)
        elif suffix in ARCHIVES:
            archives.append(place)
        elif suffix not in READABLE | FOREIGN:
            continue
        elif suffix in FOREIGN:
            foreign.append(place)
        else:
            pictures.append(place)
    return Listing(tuple(pictures), tuple(hidden), tuple(foreign), tuple(archives))


@dataclass
class Pairs:
    """Pictures and masks of a split.

    Args:
        pairs: Picture and mask, both whole paths.
        lacking: Pictures without a mask.
        orphans: Masks without a picture.
        several: Picture -> its masks, where there is more than one.
        shared: Pictures that have the same mask as another one.
        otherwise: Pictures whose mask is only found by other names.
        pattern: What `masks:` must say for them; None: they differ in case only.
        odd: Masks of a kind that is not read, such as JPEG.
        passed: Pictures that the pattern passes over.
    """

    pairs: list[tuple[Path, Path]] = field(default_factory=list)
    lacking: list[Path] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)
    several: dict[Path, list[Path]] = field(default_factory=dict)
    shared: list[Path] = field(default_factory=list)
    otherwise: list[Path] = field(default_factory=list)
    pattern: MaskNames | None = None
    odd: list[Path] = field(default_factory=list)
    passed: list[Path] = field(default_factory=list)


def pair_up(
    pictures_dir: Path, masks_dir: Path | None, names: MaskNames, *, numbers: bool = False
) -> Pairs:
    """Pair the files of two folders, which may be the same one."""
    found = Pairs()
    files = [p for p in listed(pictures_dir).pictures if p.suffix.lower() in PICTURE_SUFFIXES]
    if masks_dir is None:
        found.lacking = [pictures_dir / file for file in files]
        return found
    masks = [*listed(masks_dir).pictures]
    masks += [m for m in listed(masks_dir).foreign if m.suffix.lower() in READABLE]
    if pictures_dir == masks_dir:
        files = [file for file in files if not names.is_mask(file)]
    named = {file: star for file in files if (star := names.of_picture(file)) is not None}
    found.passed = [pictures_dir / file for file in files if file not in named]
    of_star: dict[Path, list[Path]] = {}
    for mask in masks:
        if (star := names.of_mask(mask)) is not None:
            of_star.setdefault(mask.parent / star, []).append(mask)
    fits = NUMBER_SUFFIXES if numbers else MASK_SUFFIXES
    used: set[Path] = set()
    left: list[Path] = []
    for file, star in named.items():
        itself = pictures_dir == masks_dir and names.masks == "*"
        candidates = [] if itself else of_star.get(file.parent / star, [])
        good = [m for m in candidates if m.suffix.lower() in fits]
        chosen = (good or candidates)[:1]
        if not chosen:
            left.append(file)
            continue
        if len(good) > 1:
            found.several[pictures_dir / file] = [masks_dir / m for m in good]
        if chosen[0] in used:
            found.shared.append(pictures_dir / file)
        used |= {*good, *chosen}
        if not good:
            found.odd.append(masks_dir / chosen[0])
        found.pairs.append((pictures_dir / file, masks_dir / chosen[0]))
    free = [m for m in masks if m not in used]
    if left and free:
        _other_names(found, left, free, pictures_dir, masks_dir)
        taken = {mask for _, mask in found.pairs}
        free = [m for m in free if masks_dir / m not in taken]
        matched = {picture for picture, _ in found.pairs}
        left = [file for file in left if pictures_dir / file not in matched]
    if pictures_dir == masks_dir:
        own = {picture for picture, _ in found.pairs} | {pictures_dir / file for file in left}
        free = [m for m in free if masks_dir / m not in own]
        taken = {mask for _, mask in found.pairs}
        left = [file for file in left if masks_dir / file not in taken]
    found.lacking = [pictures_dir / file for file in left]
    # Beside the masks may lie coloured copies, and other files of the same picture.
    meant = found.pattern or names
    paired = {mask.relative_to(masks_dir).with_suffix("") for _, mask in found.pairs}
    found.orphans = [
        masks_dir / m
        for m in free
        if meant.of_mask(m) is not None and m.with_suffix("") not in paired
    ]
    found.pairs.sort()
    return found


def _other_names(
    found: Pairs, left: Sequence[Path], free: Sequence[Path], pictures: Path, masks: Path
) -> None:
    """Pair what is left by a pattern, or by names that are the same but for their case."""
    pattern = best_pattern(left, free)
    taken: set[Path] = set()
    if pattern is not None and _alike(left, free) > _fitting(pattern, left, free):
        pattern = None  # only zeros or accents differ
    if pattern is not None:
        by_star = {mask.parent / star: mask for mask in free if (star := pattern.of_mask(mask))}
        for file in left:
            star = pattern.of_picture(file)
            mask = None if star is None else by_star.get(file.parent / star)
            if mask is not None and (mask != file or pictures != masks):
                found.pairs.append((pictures / file, masks / mask))
                found.otherwise.append(pictures / file)
                taken |= {file, mask}
        found.pattern = pattern
    for key in (_plain, _plainest):
        others: dict[str, list[Path]] = {}
        for mask in free:
            if mask not in taken:
                others.setdefault(key(mask), []).append(mask)
        wanted = Counter(key(file) for file in left if file not in taken)
        for file in left:
            fitting = others.get(key(file), [])
            if file in taken or wanted[key(file)] > 1 or len(fitting) != 1:
                continue
            if (pictures / file) == (masks / fitting[0]):
                continue
            found.pairs.append((pictures / file, masks / fitting[0]))
            found.otherwise.append(pictures / file)
            taken |= {file, fitting[0]}


def _plain(file: Path) -> str:
    """A name without what is easily otherwise: capitals, zeros, spaces, ways to write accents."""
    name = unicodedata.normalize("NFC", str(file.with_suffix(""))).lower().strip()
    return re.sub(r"\d+", lambda number: str(int(number[0])), name)


def _plainest(file: Path) -> str:
    """The same without the subfolder."""
    return _plain(Path(file.name))


def best_pattern(pictures: Sequence[Path], masks: Sequence[Path]) -> MaskNames | None:
    """The patterns by which most pictures have a mask, if they are more than half and three."""
    stems = sorted({m.stem for m in masks})
    mirrored = sorted(stem[::-1] for stem in stems)
    votes: Counter[tuple[str, str, str, str]] = Counter()
    for file in list(pictures)[:: max(1, len(pictures) // ASKED)]:
        for other, reverse in (
            *((s, False) for s in _near(stems, file.stem)),
            *((s[::-1], True) for s in _near(mirrored, file.stem[::-1])),
        ):
            if reverse:
                core = _common(file.stem[::-1], other[::-1])[::-1]
                head, theirs = (
                    file.stem[: len(file.stem) - len(core)],
                    other[: len(other) - len(core)],
                )
                votes[head, "", theirs, ""] += bool(core)
            else:
                core = _common(file.stem, other)
                votes["", file.stem[len(core) :], "", other[len(core) :]] += bool(core)
    best, most = None, (min(2, len(pictures) - 1), 0)
    for parts, _ in votes.most_common(12):
        head, tail, their_head, their_tail = parts
        words = "".join(parts)
        digits = any(map(str.isdigit, words)) and not any(map(str.isalpha, words))
        if "*" in words or not words.strip() or digits:
            continue
        if (head.lower(), tail.lower()) == (their_head.lower(), their_tail.lower()):
            continue
        if "." in their_tail:  # or else what follows the point would be taken for the suffix
            their_tail += Counter(m.suffix for m in masks).most_common(1)[0][0]
        pattern = MaskNames(f"{head}*{tail}", f"{their_head}*{their_tail}")
        hits = _fitting(pattern, pictures, masks)
        rank = (hits, sum(word in words.lower() for word in LIKELY))
        if rank > most and hits > most[0] * (best is None):
            best, most = pattern, rank
    return best


def _fitting(pattern: MaskNames, pictures: Sequence[Path], masks: Sequence[Path]) -> int:
    """How many pictures have a mask by a pattern."""
    stars = {m.parent / star for m in masks if (star := pattern.of_mask(m)) is not None}
    return sum(
        (star := pattern.of_picture(p)) is not None and p.parent / star in stars for p in pictures
    )


def _alike(pictures: Sequence[Path], masks: Sequence[Path]) -> int:
    """How many pictures have a mask whose name is the same but for zeros, case or accents."""
    known = {_plain(mask) for mask in masks}
    return sum(_plain(file) in known for file in pictures)


def _common(one: str, other: str) -> str:
    """What both begin with."""
    return "".join(
        a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    )


def _near(names: Sequence[str], name: str) -> Sequence[str]:
    at = bisect.bisect_left(names, name)
    return names[max(0, at - 2) : at + 3]


def as_masks(pattern: MaskNames) -> object:
    """What `masks:` of a data.yaml says for a pattern."""
    return pattern.masks if pattern.pictures == "*" else {pattern.pictures: pattern.masks}
