"""The same picture twice, in a split or across splits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pixelwise.doctor.checks.likeness import alike_pairs
from pixelwise.doctor.checks.sequences import Sequences, check_sequences, find_sequences, is_cut
from pixelwise.doctor.facts import PairFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen
from pixelwise.language import joined, message

LEAK = 0.01
"""Share of a split's pictures from which copies in another split stop."""


def check_copies(seen: Seen) -> list[Finding]:
    """Exact copies first, then those that only look the same."""
    good = [
        f
        for f, p in seen.pictures(lambda p: p.container.size > 0 and p.container.digest)
        if p.error or p.low < p.high
    ]
    same = _same(good)
    near = [pair for pair in _near(good) if pair[:2] not in same]
    sequences = find_sequences(seen, good)
    return [
        *_exact(seen, same),
        *_alike(seen, near, sequences),
        *_contradicting(seen, same),
        *check_sequences(seen, sequences),
    ]


def _same(facts: Sequence[PairFacts]) -> set[tuple[PairFacts, PairFacts]]:
    """Pairs of the same bytes: the first of them and each other."""
    groups: dict[str, list[PairFacts]] = defaultdict(list)
    for item in facts:
        assert item.picture is not None
        groups[item.picture.container.digest].append(item)
    return {(a, b) for group in groups.values() for i, a in enumerate(group) for b in group[i + 1 :]
            if i == 0 or a.split != b.split}  # fmt: skip


def _near(facts: Sequence[PairFacts]) -> list[tuple[PairFacts, PairFacts, float]]:
    """Pairs that look the same, and how much so."""
    able = [f for f in facts if f.picture is not None and f.picture.thumb is not None]
    thumbs = [f.picture.thumb for f in able if f.picture and f.picture.thumb is not None]
    return [
        (able[i], able[j], score)
        for (i, j), score in alike_pairs(thumbs, [f.split for f in able]).items()
    ]


def _exact(seen: Seen, same: set[tuple[PairFacts, PairFacts]]) -> Iterator[Finding]:
    within = sorted({b.picture_name for a, b in same if a.split == b.split})
    if within:
        yield Finding(
            "warn" if len(within) > 0.05 * len(seen.facts) else "note",
            "duplicates",
            message(
                "{counted} twice within a split", counted=counted(len(within), "picture occurs")
            ),
            message("keep one of each"),
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
    what = (
        message("byte for byte in another split too")
        if exact
        else message("the same as one of another split, or as a part of it")
    )
    splits = sorted(
        {message("{split} and {split2}", split=a.split, split2=b.split) for a, b in across}
    )
    across = sorted(across, key=lambda pair: (pair[0].picture_name, pair[1].picture_name))
    files = tuple(dict.fromkeys(f.picture_name for pair in across for f in pair))
    number = len({b.picture_name for _, b in across})
    fewest = min(sum(1 for _ in seen.of_split(f.split)) for pair in across for f in pair)
    return Finding(
        "stop" if number >= limit * fewest else "warn",
        key,
        message(
            "{counted} {what} ({splits}): the score would be of pictures that were learnt",
            counted=counted(number, f"picture {verb}"),
            what=what,
            splits=joined(", ", splits),
        ),
        message("keep each in one split only"),
        tuple(map(seen.subject.told, files)),
    )


def _alike(
    seen: Seen, near: Sequence[tuple[PairFacts, PairFacts, float]], sequences: Sequences
) -> Iterator[Finding]:
    within = [pair for pair in near if pair[0].split == pair[1].split]
    if within:
        files = dict.fromkeys(f.picture_name for a, b, _ in within for f in (a, b))
        yield Finding(
            "note",
            "near-duplicates",
            message(
                "{counted} the same as another one of their split, or as a part of it",
                counted=counted(len(files), "picture looks"),
            ),
            message("keep one of each, if they are copies"),
            tuple(map(seen.subject.told, files)),
        )
    across = [pair for pair in near if pair[0].split != pair[1].split]
    cuts = [(a, b) for a, b, _ in across if is_cut(sequences, a, b)]
    if cuts:
        files = dict.fromkeys(f.picture_name for pair in cuts for f in pair)
        yield Finding(
            "note",
            "sequence-cut",
            message(
                "{counted} like a neighbour that is in another split, where a sequence was cut",
                counted=counted(len(files), "picture looks"),
            ),
            message("leave out some frames at the cut"),
            tuple(map(seen.subject.told, files)),
        )
    copies = [(a, b) for a, b, _ in across if (a, b) not in set(cuts)]
    if copies:
        yield _leak(seen, "near-leak", copies, 0.05)


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
            message(
                "{counted} twice, with different masks",
                counted=counted(len(differ), "picture occurs"),
            ),
            message("keep the right one"),
            tuple(map(seen.subject.told, files)),
        )
