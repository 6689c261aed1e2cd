"""Frames of one sequence in several splits, told by their numbers and their likeness."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pixelwise.doctor.facts import PairFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen
from pixelwise.language import message

SWITCHES = 4
"""So often must the numbers of a sequence go from one split to another and back."""
FEWEST = 8
"""Frames below which their likeness says nothing."""
Sequences = Mapping[tuple[str, str], Sequence[tuple[int, PairFacts]]]


def find_sequences(seen: Seen, facts: Sequence[PairFacts]) -> Sequences:
    """(folder within the split, name but for its last number) -> numbers and pictures, in order.

    Those whose splits each count from the start are left out.
    """
    groups: dict[tuple[str, str], list[tuple[int, PairFacts]]] = defaultdict(list)
    for item in facts:
        file = Path(item.picture_name)
        found = re.fullmatch(r"(.*?)(\d{1,15})(\D*)", file.stem)
        if found is not None:
            groups[_place(seen, item, file), f"{found[1]}*{found[3]}"].append((int(found[2]), item))
    kept = {}
    for key, group in groups.items():
        if len({number for number, _ in group}) == len(group):
            kept[key] = sorted(group, key=lambda pair: pair[0])
    return kept


def _place(seen: Seen, item: PairFacts, file: Path) -> str:
    folders = seen.subject.folders.get(item.split)
    if folders is not None and file.is_relative_to(folders[0]):
        return file.parent.relative_to(folders[0]).as_posix()
    return ""


def check_sequences(seen: Seen, sequences: Sequences) -> Iterator[Finding]:
    """Sequences whose numbers go to and fro between splits."""
    torn: list[PairFacts] = []
    mixed: list[list[PairFacts]] = []
    for group in sequences.values():
        frames = [f for _, f in group]
        splits = [f.split for f in frames]
        if sum(a != b for a, b in pairwise(splits)) < (2 if len(sequences) > 3 else SWITCHES):
            continue
        mixed.append(frames)
        torn += [f for f in frames if f.split != max(set(splits), key=splits.count)]
    switches = sum(a.split != b.split for frames in mixed for a, b in pairwise(frames))
    proven = _resemble(mixed)
    often = any(
        sum(a.split != b.split for a, b in pairwise(frames)) >= SWITCHES for frames in mixed
    )
    if torn and switches >= SWITCHES and (proven or often):
        yield Finding(
            "warn" if proven else "note",
            "sequence-torn",
            message(
                "numbers of {counted} between those of another split",
                counted=counted(len(torn), "picture lies"),
            )
            + (message(", and neighbours look alike: frames of one sequence") if proven else ""),
            message(
                "put whole sequences into one split, such as by `split: {{val: 0.2, by:"
                " folder}}` or `by: block`, or the score is of what was learnt"
            )
            if proven
            else message("nothing, unless they are frames of a video"),
            seen.picture_names(torn),
        )


def is_cut(sequences: Sequences, one: PairFacts, other: PairFacts) -> bool:
    """Whether two pictures are neighbours where a sequence is cut once or twice into splits."""
    for group in sequences.values():
        frames = [f for _, f in group]
        if one in frames and other in frames:
            apart = abs(frames.index(one) - frames.index(other))
            return apart <= 2 and sum(a.split != b.split for a, b in pairwise(frames)) <= 2
    return False


def _resemble(groups: Sequence[Sequence[PairFacts]]) -> bool:
    """Whether neighbours of different splits look more alike than pictures far from each other."""
    able = [
        [f for f in group if f.picture is not None and f.picture.thumb is not None]
        for group in groups
    ]
    frames = [f for group in able for f in group]
    if len(frames) < FEWEST:
        return False
    values = dict(zip(map(id, frames), _plain(frames), strict=True))
    near = np.array(
        [
            float(values[id(a)] @ values[id(b)])
            for group in able
            for a, b in pairwise(group)
            if a.split != b.split
        ]
    )
    half = len(frames) // 2
    far = np.array(
        [
            float(values[id(a)] @ values[id(frames[(i + half) % len(frames)])])
            for i, a in enumerate(frames)
        ]
    )
    if not len(near):
        return False
    above = (near[:, None] > far[None]).mean()
    return bool(above > 0.9 and np.median(near) > max(0.6, np.median(far) + 0.1))


def _plain(frames: Sequence[PairFacts]) -> Float32[np.ndarray, "n s"]:
    thumbs = [f.picture.thumb for f in frames if f.picture is not None]
    values = np.stack([np.asarray(thumb, np.float32).ravel() for thumb in thumbs])
    values -= values.mean(1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
