"""Masks that would fit their pictures better if they were mirrored, turned or moved.

Borders that lie on the picture's edges say that a mask fits. One picture says little, so many must
say the same: healthy sets, in which shadows and textures have edges too, are not to be accused.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pixelwise.doctor.facts import PairFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.fit import MIRRORS, REACH, TURNS, Fit
from pixelwise.doctor.seen import Seen
from pixelwise.language import as_message, joined, message

FEWEST = 4
"""Pictures below which nothing is said."""
AGREE = 0.75
"""Share of the pictures that must say the same."""
STRONG = 3.5
"""Deviations above the mean of all shifts at which a single picture counts."""
CLEAR = 2.5
"""The same where several pictures name the same shift."""
EVIDENT = 7.0
"""The same at which one mask in many is told."""
SURE = 0.8
"""The strength of edges below borders, in deviations over the picture, that it takes as well."""
WEAK = 1.5
"""What it has as it is then, at most."""
FAR = 3
"""Pixels: labels that are less off are as people draw them."""
OF_EXIF = {
    2: MIRRORS[0], 3: MIRRORS[2], 4: MIRRORS[1], 5: TURNS[2], 6: TURNS[1], 7: TURNS[3], 8: TURNS[0],
}  # fmt: skip
"""What turns a mask that was drawn on the stored picture into one of what is shown."""
UNDONE = {TURNS[0]: TURNS[1], TURNS[1]: TURNS[0]}


@dataclass(frozen=True, eq=False)
class _Judged:
    """One pair: how its mask fits, in deviations from the mean over all shifts."""

    facts: PairFacts
    fit: Fit
    moved: Float[np.ndarray, "_ _"]
    turned: dict[str, float]

    @property
    def own(self) -> float:
        """As it is, or a pixel beside."""
        return float(self.moved[REACH - 1 : REACH + 2, REACH - 1 : REACH + 2].max())

    @property
    def peak(self) -> tuple[int, int]:
        """The best shift."""
        row, column = np.unravel_index(self.moved.argmax(), self.moved.shape)
        return int(row) - REACH, int(column) - REACH


def check_placing(seen: Seen) -> list[Finding]:
    """Of the whole set, or else of each split."""
    judged = [j for facts in seen.facts if (j := _judge(facts)) is not None]
    found = [*_exif(seen, judged)]
    rest = [j for j in judged if j.facts.picture and j.facts.picture.container.orientation == 1]
    groups = [rest, *([j for j in rest if j.facts.split == s] for s in seen.splits)]
    for group in groups:
        if whole := [*_turned(seen, group), *_moved(seen, group)]:
            found += whole[:1]
            if group is rest:
                break
    else:
        found += [*_some_turned(seen, rest), *_some_moved(seen, rest)]
    return found


def _judge(facts: PairFacts) -> _Judged | None:
    fit = facts.fit
    if fit is None or fit.shifts is None:
        return None
    shifts = fit.shifts.astype(np.float64)
    mean, deviation = float(shifts.mean()), float(shifts.std())
    if deviation < 1e-4:
        return None
    turned = {how: (s - mean) / deviation for how, s in fit.scores.items() if how != "as it is"}
    return _Judged(facts, fit, (shifts - mean) / deviation, turned)


def _exif(seen: Seen, judged: Sequence[_Judged]) -> Iterator[Finding]:
    wrong = []
    for item in judged:
        assert item.facts.picture is not None
        how = OF_EXIF.get(item.facts.picture.container.orientation)
        if how is None or how not in item.turned:
            continue
        if item.turned[how] > max(2.5, item.own + 1.5) and item.turned[how] > 2 * item.own:
            wrong.append(item.facts)
    if wrong:
        yield Finding(
            "stop",
            "exif-turned",
            message(
                "{counted} shown turned, as EXIF says, but {what} unturned",
                counted=counted(len(wrong), "picture is"),
                what=message("its mask fits it")
                if len(wrong) == 1
                else message("their masks fit them"),
            ),
            message(
                "turn the masks likewise, or remove the EXIF entry and draw on what is shown then"
            ),
            seen.picture_names(wrong),
        )


def _turned(seen: Seen, group: Sequence[_Judged]) -> Iterator[Finding]:
    best: tuple[float, str, list[_Judged]] | None = None
    for how in (*MIRRORS, *TURNS):
        able = [item for item in group if how in item.turned]
        if len(able) < FEWEST or 2 * len(able) < len(group):
            continue
        theirs = np.array([item.turned[how] for item in able])
        own = np.array([item.own for item in able])
        gain = theirs - own
        certain = gain.mean() / (gain.std() / len(able) ** 0.5 + 1e-6)
        clear = theirs.mean() > max(1.2, 4 / len(able) ** 0.5, 2 * own.mean()) and certain > 4
        if clear and (gain > 0).mean() >= AGREE and (best is None or theirs.mean() > best[0]):
            best = float(theirs.mean()), how, [i for i, g in zip(able, gain, strict=True) if g > 0]
    if best is not None:
        yield _finding_turned(seen, best[1], best[2], len(group))


def _finding_turned(seen: Seen, how: str, wrong: Sequence[_Judged], of: int) -> Finding:
    key = "mask-mirrored" if how in MIRRORS[:2] else "mask-turned"
    return Finding(
        "stop",
        key,
        message(
            "{wrong} of {counted} fit their pictures far better if {how}",
            wrong=len(wrong),
            counted=counted(of, "mask"),
            how=as_message(how),
        ),
        message("look at their overlays; mend the masks, or how pictures and masks were exported"),
        seen.mask_names([item.facts for item in wrong]),
    )


def _moved(seen: Seen, group: Sequence[_Judged]) -> Iterator[Finding]:
    if len(group) < FEWEST:
        return
    mean = np.mean([item.moved for item in group], axis=0)
    row, column = (int(n) for n in np.unravel_index(mean.argmax(), mean.shape))
    here = mean[REACH - 1 : REACH + 2, REACH - 1 : REACH + 2].max()
    offset = row - REACH, column - REACH
    if (
        max(map(abs, offset)) < FAR
        or mean.max() < max(1.5, 5 / len(group) ** 0.5)
        or here > 0.6 * mean.max()
    ):
        return
    around = (slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2))
    better = [item for item in group if item.moved[around].max() > item.own]
    if len(better) >= AGREE * len(group):
        yield _finding_moved(seen, offset, better, len(group))


def _finding_moved(
    seen: Seen, offset: tuple[int, int], wrong: Sequence[_Judged], of: int
) -> Finding:
    down, right = (n * wrong[0].fit.step for n in offset)
    words = [
        message(
            "{abs} pixels {what}",
            abs=abs(down),
            what=message("down") if down > 0 else message("up"),
        )
    ] * bool(down)
    words += [
        message(
            "{abs} pixels to the {what}",
            abs=abs(right),
            what=message("right") if right > 0 else message("left"),
        )
    ] * bool(right)
    return Finding(
        "stop",
        "mask-moved",
        message(
            "{wrong} of {counted} fit their pictures far better if moved by about {words}",
            wrong=len(wrong),
            counted=counted(of, "mask"),
            words=joined(message(" and "), words),
        ),
        message("look at their overlays; mend the masks, or how pictures and masks were cropped"),
        seen.mask_names([item.facts for item in wrong]),
    )


def _some_turned(seen: Seen, group: Sequence[_Judged]) -> Iterator[Finding]:
    for how in (*MIRRORS, *TURNS):
        wrong = [
            item for item in group
            if (z := item.turned.get(how, 0.0)) >= STRONG
            and item.own < WEAK
            and z >= max(item.turned.values())
        ]  # fmt: skip
        if len(wrong) < max(3, 0.02 * len(group)):
            wrong = [
                item
                for item in wrong
                if item.turned[how] >= EVIDENT and item.fit.scores[how] >= SURE
            ]
        if wrong:
            yield _finding_turned(seen, how, wrong, len(group))


def _some_moved(seen: Seen, group: Sequence[_Judged]) -> Iterator[Finding]:
    """Pictures that say the same shift; by chance their peaks lie anywhere."""
    strong = [
        item
        for item in group
        if item.moved.max() >= max(CLEAR, 2 * item.own) and max(map(abs, item.peak)) >= FAR
    ]
    votes = Counter(item.peak for item in strong)
    for offset, _ in votes.most_common(1):
        wrong = [
            item
            for item in strong
            if max(abs(item.peak[0] - offset[0]), abs(item.peak[1] - offset[1])) <= 1
        ]
        if len(wrong) >= max(4, 0.02 * len(group), 0.6 * len(strong)):
            yield _finding_moved(seen, offset, wrong, len(group))
            return
    for item in strong:
        best = float(item.fit.shifts.max()) if item.fit.shifts is not None else 0.0
        if item.moved.max() >= EVIDENT and item.own < WEAK and best >= SURE:
            yield _finding_moved(seen, item.peak, [item], len(group))
