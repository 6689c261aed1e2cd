"""Masks that fit another picture than their own.

A mask's borders lie on the edges of its picture, and on those of no other, but for what all have in
common, such as a horizon, which is taken away first.

R       agreement of each mask's borders (rows) with each picture's edges (columns)
z       R less the means of rows and columns, in deviations of its row
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pixelwise.doctor.facts import PairFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen
from pixelwise.language import message

FEWEST = 8
"""Pairs below which nothing is said."""
MOST = 2000
"""So many are compared with each other, in the order of their names."""
OWN = 1.2
"""What a mask has with its own picture, at most, if it may be another one's."""
BEST = 2.3
"""What it has with that one, at least."""
GAP = 0.6
"""How far that is above all others."""
EVIDENT = 3.5
"""What one mask in many only has with its own picture."""


@dataclass(frozen=True, eq=False)
class _Compared:
    """For each mask: agreement with its own picture, with the best other one, and with the rest."""

    own: Float[np.ndarray, " n"]
    other: Int[np.ndarray, " n"]
    best: Float[np.ndarray, " n"]
    gap: Float[np.ndarray, " n"]
    mutual: Bool[np.ndarray, " n"]


def check_shuffled(seen: Seen) -> list[Finding]:
    """Of the whole set, or else of each split, or else of some masks that changed places."""
    able = sorted(
        (f for f in seen.facts if f.fit is not None and f.fit.edges is not None),
        key=lambda f: f.picture_name,
    )[:MOST]
    groups = [able, *([f for f in able if f.split == split] for split in seen.splits)]
    for group in groups[: None if len(groups) > 2 else 1]:
        found = _compared(group)
        if found is not None and _all_moved(found):
            return [_finding(seen, group, range(len(group)), whole=True)]
    found = _compared(able)
    if found is None:
        return []
    return [_finding(seen, able, chosen, whole=False) for chosen in _exchanged(found)]


def _compared(group: Sequence[PairFacts]) -> _Compared | None:
    if len(group) < FEWEST:
        return None
    edges = _unlike([f.fit.edges for f in group if f.fit is not None])
    lines = _unlike([f.fit.lines for f in group if f.fit is not None])
    agreement = lines @ edges.T
    agreement -= agreement.mean(0)
    agreement -= agreement.mean(1, keepdims=True)
    deviation = agreement.std(1, keepdims=True)
    if (deviation < 1e-6).any():
        return None
    z = agreement / deviation
    own = np.diag(z).copy()
    np.fill_diagonal(z, -np.inf)
    other, best = z.argmax(1), z.max(1)
    second = np.maximum(np.partition(z, -2, axis=1)[:, -2], own)
    mutual = z.argmax(0)[other] == np.arange(len(z))
    return _Compared(own, other, best, best - second, mutual)


def _unlike(maps: Sequence[object]) -> Float[np.ndarray, "n s"]:
    """Maps without what they have in common, of length 1."""
    values = np.stack([np.asarray(m, np.float32).ravel() for m in maps])
    values -= values.mean(0)
    values -= values.mean(1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _all_moved(found: _Compared) -> bool:
    """Whether masks fit other pictures as clearly as healthy ones fit their own."""
    count = len(found.own)
    if found.own.mean() * count**0.5 > 3:
        return False
    alien = (found.own < OWN) & found.mutual
    clear = (alien & (found.best > min(BEST, 0.75 * count**0.5))).mean() > 0.45
    return bool(
        (found.gap.mean() > 0.8 and clear) or (alien & (found.best > EVIDENT)).mean() > 0.15
    )


def _exchanged(found: _Compared) -> Iterator[list[int]]:
    """Masks that have each other's pictures, all of them."""
    wanted = np.maximum(BEST, found.own + 1.5)
    chosen = {
        int(i)
        for i in np.flatnonzero(
            (found.own < OWN) & (found.best >= wanted) & (found.gap >= GAP) & found.mutual
        )
    }
    while chosen:
        targets = {int(found.other[i]) for i in chosen}
        kept = {i for i in chosen if int(found.other[i]) in chosen and i in targets}
        if kept == chosen:
            yield sorted(chosen)
            return
        chosen = kept


def _finding(
    seen: Seen, group: Sequence[PairFacts], chosen: Sequence[int], *, whole: bool
) -> Finding:
    names = seen.mask_names([group[i] for i in chosen])
    of = counted(len(group), "mask")
    text = (
        message(
            "the {of} fit other pictures than their own, so far as borders and edges tell", of=of
        )
        if whole
        else message(
            "{chosen} of {of} fit each other's pictures and not their own",
            chosen=len(chosen),
            of=of,
        )
    )
    return Finding(
        "stop",
        "mask-shuffled",
        text,
        message(
            "look at their overlays; give each mask the name of its picture, as before renaming"
        ),
        names,
    )
