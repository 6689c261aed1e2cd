"""Finds the folders of pictures and masks where no data.yaml names them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.data.listing import is_hidden
from pixelwise.data.mask_names import MaskNames
from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.doctor.pairing import as_masks, best_pattern

PICTURES = frozenset(
    {
        "image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "picture", "pictures",
        "photo", "photos", "input", "inputs", "rgb", "raw", "frames", "x",
    }
)  # fmt: skip
MASKS = frozenset(
    {
        "mask", "masks", "label", "labels", "annotation", "annotations", "annot", "gt", "gtfine",
        "segmentationclass", "segmentationclassraw", "segmentation", "segmentations", "gts", "seg",
        "groundtruth", "truth", "target", "targets", "y",
    }
)  # fmt: skip
SPLIT_WORDS = {
    "train": frozenset({"train", "training", "trn", "trainset"}),
    "val": frozenset({"val", "valid", "validation", "dev"}),
    "test": frozenset({"test", "testing", "tst"}),
}


@dataclass(frozen=True)
class Found:
    """A folder of pictures and that of their masks."""

    split: str
    pictures: Path
    masks: Path
    names: MaskNames


def guess(root: Path) -> list[Found]:
    """Pairs of folders, relative to `root`, the best one of each split."""
    stems = _stems(root)
    found: dict[str, tuple[tuple[int, int], Found]] = {}
    for folder, own in stems.items():
        if _hint(folder, MASKS) and not _hint(folder, PICTURES):
            continue
        best: tuple[tuple[int, int], Found] | None = None
        for other, theirs in stems.items():
            near = _nearness(folder, other)
            if near is None or (other != folder and _hint(other, PICTURES) > _hint(other, MASKS)):
                continue
            names, hits = _matched(own, theirs, same=folder == other)
            if names is None or 2 * hits < min(len(own), len(theirs)) / (1 + (folder == other)):
                continue
            rank = (near + 2 * _hint(other, MASKS), hits)
            if best is None or rank > best[0]:
                best = rank, Found(_split_of(folder), folder, other, names)
        if best is not None:
            rank, candidate = best
            rank = (rank[0] + 2 * _hint(folder, PICTURES), rank[1])
            if candidate.split not in found or rank > found[candidate.split][0]:
                found[candidate.split] = rank, candidate
    if len(found) > 1 and "" in found:
        del found[""]
    return [Found(f.split or "train", f.pictures, f.masks, f.names) for _, f in found.values()]


def described(found: Sequence[Found]) -> dict[str, Any]:
    """What a data.yaml says of such folders; no names yet."""
    content: dict[str, Any] = {}
    swapped: dict[str, str] = {}
    plain: set[str] = set()
    for item in found:
        content[item.split] = item.pictures.as_posix()
        own, theirs = item.pictures.parts, item.masks.parts
        if own == theirs:
            swapped[own[-1] if own else "."] = own[-1] if own else "."
            continue
        for one, other in zip(own, theirs, strict=True):
            if one != other:
                swapped[one] = other
        last = max((i for i, part in enumerate(own) if part == "images"), default=len(own) - 1)
        if [i for i, (a, b) in enumerate(zip(own, theirs, strict=True)) if a != b] == [last]:
            plain.add(theirs[last])
        else:
            plain.add("")
    if len(plain) == 1 and "" not in plain and len(swapped) == 1:
        if plain != {"masks"}:
            content["masks_dir"] = plain.pop()
    elif swapped:
        content["masks_dir"] = swapped
    patterns = {item.names for item in found}
    if patterns != {MaskNames()} and len(patterns) == 1:
        content["masks"] = as_masks(patterns.pop())
    return content


def _stems(root: Path) -> dict[Path, list[Path]]:
    """Folder -> the pictures directly in it, or below it where it has subfolders of pictures."""
    direct: dict[Path, list[Path]] = {}
    for file in sorted(root.rglob("*")):
        place = file.relative_to(root)
        if file.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(place) and file.is_file():
            direct.setdefault(place.parent, []).append(Path(place.name))
    whole: dict[Path, list[Path]] = {}
    for folder, files in direct.items():
        whole.setdefault(folder, []).extend(files)
        for parent in folder.parents:
            if _hint(parent, PICTURES | MASKS) or _split_of(parent):
                below = folder.relative_to(parent)
                whole.setdefault(parent, []).extend(below / name for name in files)
    return whole


def _tokens(part: str) -> list[str]:
    return [token for token in re.split(r"[^a-z0-9]+", part.lower()) if token]


def _hint(folder: Path, words: frozenset[str]) -> int:
    return sum(bool(words & {*_tokens(part)}) for part in folder.parts)


def _split_of(folder: Path) -> str:
    for part in reversed(folder.parts):
        for split, words in SPLIT_WORDS.items():
            tokens = {*_tokens(part)}  # COCO: train2017
            if words & (tokens | {token.rstrip("0123456789") for token in tokens}):
                return split
    return ""


def _nearness(one: Path, other: Path) -> int | None:
    """How alike two folders are; None: no data.yaml could lead from one to the other."""
    if one == other:
        return 0
    if len(one.parts) != len(other.parts):
        return None
    differ = [(a, b) for a, b in zip(one.parts, other.parts, strict=True) if a != b]
    if len(differ) != 1 or _split_of(one) != _split_of(other):
        return None
    return 1


def _matched(own: list[Path], theirs: list[Path], *, same: bool) -> tuple[MaskNames | None, int]:
    if not same:
        keys = {file.with_suffix("") for file in theirs}
        hits = sum(file.with_suffix("") in keys for file in own)
        if hits:
            return MaskNames(), hits
    pattern = best_pattern(own, theirs)
    if pattern is None:
        return None, 0
    stars = {f.parent / star for f in theirs if (star := pattern.of_mask(f)) is not None}
    hits = sum(
        (star := pattern.of_picture(f)) is not None and f.parent / star in stars for f in own
    )
    return pattern, hits
