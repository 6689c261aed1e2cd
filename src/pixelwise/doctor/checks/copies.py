"""The same picture twice, in a split or across splits, and sequences torn over splits."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pixelwise.doctor.facts import PairFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen

ALIKE = 0.94
"""Correlation of small copies, without their slow changes, from which pictures are one."""
ROWS = 512
LEAK = 0.01
"""Share of a split's pictures from which copies in another split stop."""
SWITCHES = 4
"""So often must the numbers of a sequence go from one split to another and back."""


def check_copies(seen: Seen) -> list[Finding]:
    """Exact copies first, then those that only look the same."""
    good = [f for f, p in seen.pictures(lambda p: p.container.size > 0 and p.container.digest)]
    same = _same(good)
    near = [pair for pair in _near(good) if pair not in same]
    return [
        *_exact(seen, same),
        *_alike(seen, near),
        *_contradicting(seen, same),
        *_sequences(seen, good),
    ]


def _same(facts: Sequence[PairFacts]) -> set[tuple[PairFacts, PairFacts]]:
    """Pairs of the same bytes: the first of them and each other."""
    groups: dict[str, list[PairFacts]] = defaultdict(list)
    for item in facts:
        assert item.picture is not None
        groups[item.picture.container.digest].append(item)
    return {(a, b) for group in groups.values() for i, a in enumerate(group) for b in group[i + 1 :]
            if i == 0 or a.split != b.split}  # fmt: skip


def _near(facts: Sequence[PairFacts]) -> list[tuple[PairFacts, PairFacts]]:
    """Pairs whose small copies agree in detail."""
    able = [f for f in facts if f.picture is not None and f.picture.thumb is not None]
    if len(able) < 2:
        return []
    details = np.stack([detail(f.picture.thumb) for f in able])  # type: ignore[union-attr]
    side = able[0].picture.thumb.shape[0]  # type: ignore[union-attr]
    mirrored = details.reshape(-1, side, side)[:, :, ::-1].reshape(len(able), -1)
    found = []
    for start in range(0, len(able), ROWS):
        product = details[start : start + ROWS] @ details[start:].T
        product = np.maximum(product, mirrored[start : start + ROWS] @ details[start:].T)
        for i, j in zip(*np.nonzero(product >= ALIKE), strict=True):
            if j > i:
                found.append((able[start + i], able[start + j]))
    return found


def detail(thumb: object) -> Float32[np.ndarray, " n"]:
    """A small copy without its slow changes, of length 1."""
    values = np.asarray(thumb, np.float32)
    padded = np.pad(values, 2, mode="edge")
    high, wide = values.shape
    mean = sum(padded[i : i + high, j : j + wide] for i in range(5) for j in range(5)) / 25
    rest = (values - mean).ravel()
    length = float(np.linalg.norm(rest))
    weak = length < 32  # a deviation of one grey level: noise
    return np.zeros_like(rest) if weak else rest / length


def _exact(seen: Seen, same: set[tuple[PairFacts, PairFacts]]) -> Iterator[Finding]:
    within = sorted({b.picture_name for a, b in same if a.split == b.split})
    if within:
        yield Finding(
            "warn" if len(within) > 0.05 * len(seen.facts) else "note",
            "duplicates",
            f"{counted(len(within), 'picture occurs')} twice within a split",
            "keep one of each",
            tuple(map(seen.subject.told, within)),
        )
    across = [(a, b) for a, b in same if a.split != b.split]
    if across:
        yield _leak(seen, "leak", across, LEAK)


def _leak(
    seen: Seen, key: str, across: Sequence[tuple[PairFacts, PairFacts]], limit: float
) -> Finding:
    exact = key == "leak"
    verb = "is" if exact else "looks"
    what = "byte for byte in another split too" if exact else "the same as one of another split"
    splits = sorted({f"{a.split} and {b.split}" for a, b in across})
    files = tuple(dict.fromkeys(f.picture_name for pair in across for f in pair))
    number = len({b.picture_name for _, b in across})
    fewest = min(sum(1 for _ in seen.of_split(f.split)) for pair in across for f in pair)
    return Finding(
        "stop" if number >= limit * fewest else "warn",
        key,
        f"{counted(number, f'picture {verb}')} {what} ({', '.join(splits)}): the score would be of"
        " pictures that were learnt",
        "keep each in one split only",
        tuple(map(seen.subject.told, files)),
    )


def _alike(seen: Seen, near: Sequence[tuple[PairFacts, PairFacts]]) -> Iterator[Finding]:
    within = [pair for pair in near if pair[0].split == pair[1].split]
    if within:
        files = dict.fromkeys(f.picture_name for pair in within for f in pair)
        yield Finding(
            "note",
            "near-duplicates",
            f"{counted(len(files), 'picture looks')} the same as another one of their split",
            "keep one of each, if they are copies",
            tuple(map(seen.subject.told, files)),
        )
    across = [pair for pair in near if pair[0].split != pair[1].split]
    if across:
        yield _leak(seen, "near-leak", across, 0.05)


def _contradicting(seen: Seen, same: set[tuple[PairFacts, PairFacts]]) -> Iterator[Finding]:
    differ = [
        (a, b) for a, b in same
        if a.mask is not None and b.mask is not None
        and a.mask.values and b.mask.values and a.mask.values != b.mask.values
    ]  # fmt: skip
    if differ:
        files = dict.fromkeys(f.mask_name for pair in differ for f in pair)
        yield Finding(
            "warn",
            "labels-contradict",
            f"{counted(len(differ), 'picture occurs')} twice, with different masks",
            "keep the right one",
            tuple(map(seen.subject.told, files)),
        )


def _sequences(seen: Seen, facts: Sequence[PairFacts]) -> Iterator[Finding]:
    groups: dict[str, list[tuple[int, PairFacts]]] = defaultdict(list)
    for item in facts:
        found = re.fullmatch(r"(.*?)(\d+)(\D*)", Path(item.picture_name).stem)
        if found is not None:
            groups[found[1] + found[3]].append((int(found[2]), item))
    torn: list[PairFacts] = []
    proven = False
    for group in groups.values():
        numbers = [number for number, _ in group]
        if len(set(numbers)) < len(numbers) or len({f.split for _, f in group}) < 2:
            continue  # each split counts from the start
        group.sort(key=lambda pair: pair[0])
        splits = [f.split for _, f in group]
        switches = sum(a != b for a, b in pairwise(splits))
        if switches < SWITCHES:
            continue
        fewer = [f for _, f in group if f.split != max(set(splits), key=splits.count)]
        torn += fewer
        proven |= _resemble([f for _, f in group])
    if torn:
        yield Finding(
            "warn" if proven else "note",
            "sequence-torn",
            f"numbers of {counted(len(torn), 'picture lies')} between those of another split"
            + (", and neighbours look alike: frames of one sequence" if proven else ""),
            "put whole sequences into one split, or the score is of what was learnt"
            if proven
            else "nothing, unless they are frames of a video",
            seen.picture_names(torn),
        )


def _resemble(group: Sequence[PairFacts]) -> bool:
    """Whether neighbours of different splits look more alike than other pictures of the two."""
    thumbs = [f.picture.thumb if f.picture else None for f in group]
    if any(thumb is None for thumb in thumbs) or len(thumbs) < 8:
        return False
    values = np.stack([np.asarray(t, np.float32).ravel() for t in thumbs])
    values -= values.mean(1, keepdims=True)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    at = [i for i in range(len(group) - 1) if group[i].split != group[i + 1].split]
    near = np.array([float(values[i] @ values[i + 1]) for i in at])
    half = len(group) // 2
    far = np.array([float(values[i] @ values[(i + half) % len(group)]) for i in range(len(group))])
    above = (near[:, None] > far[None]).mean()
    return bool(above > 0.9 and np.median(near) > np.median(far) + 0.1)
