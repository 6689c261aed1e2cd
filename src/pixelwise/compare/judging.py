"""How a mechanism is judged, and what is corrected for.

Differences are paired by seed. p is that of the paired t-test; both a 95 % t-interval over seeds
and a 95 % interval over drawn pictures must not hold 0. There are four families of claims, each
corrected by Holm's method for the number of mechanisms m, whether they were dropped on the way or
not:

    against none      two-sided: "worse", and the gain over none that "capacity" and "time" rest on
    against controls  two-sided: of each mechanism against its own control
    against longer    two-sided: of each against none that is trained for as long
    worth it          better than none and its control and the longer none (intersection-union):
                      p = the largest of the three, 1 where the mechanism is not ahead in all

Where all m mechanisms equal none, the chance that any is called "worth it" is at most 5 %, and
likewise that any is called worse, or better than none. Over all words together it is at most the
sum. Differences by class and by size of objects are explorations (`details`). The number of seeds
that is said to be needed is for the strictest of the m tests.

A mechanism that successive halving dropped has fewer seeds, and was dropped because it was behind
on them: its difference looks worse than it is. Those that stayed were ahead on the same seeds, so
theirs look slightly better. False wins do not become more frequent by it: who was dropped cannot
win, and who stayed is tested as without halving.

The price: the fewer seeds and the more mechanisms, the larger an effect must be to be clear, of
three seeds and twelve mechanisms eleven standard deviations of a difference, of five seeds three.
`reach` tells it in the unit of the score.

Source: Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982 (the largest p).
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pixelwise.compare.arms import NONE, Arm, is_mechanism
from pixelwise.compare.budget import ALIKE
from pixelwise.compare.costs import Costs
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.pairing import Paired, Runs
from pixelwise.compare.statistics import LEVEL, holm, seeds_needed, smallest_effect
from pixelwise.compare.verdicts import NOTHING_KNOWN, Against, Note, Reach, Verdict, Word


@dataclass(frozen=True)
class _Others:
    """Names of the arms that a mechanism is compared with; None: there is none."""

    none: str | None
    control: str | None
    longer: str | None


def judge(
    outcomes: Sequence[Outcome], arms: Sequence[Arm], costs: Mapping[str, Costs]
) -> list[Verdict]:
    """A verdict for each mechanism, in the order of the arms.

    Args:
        outcomes: Finished runs, in any order; of any arm there may be none.
        arms: All of them.
        costs: By the arm's name; those that are not known may be missing.

    Raises:
        InputError: The runs do not belong together: other pictures, other scores, one twice.
    """
    runs = Runs.of(outcomes, arms)
    others = {arm.name: _others(arm, arms, costs) for arm in arms if is_mechanism(arm)}
    none = _against(runs, {name: one.none for name, one in others.items()})
    control = _against(runs, {name: one.control for name, one in others.items()})
    longer = _against(runs, {name: one.longer for name, one in others.items()})
    kind = (runs.kinds() or (NOTHING_KNOWN,))[0]
    found = []
    for name, other in others.items():
        scores = runs.known(name)
        gain = None
        if other.none is not None and other.control is not None:
            gain = runs.pair(other.control, other.none)
        verdict = Verdict(
            arm=name,
            word=Word.NO_EVIDENCE,
            mean=float(np.mean([one.values[0] for one in scores.values()])) if scores else np.nan,
            none=none.get(name),
            control=control.get(name),
            longer=longer.get(name),
            slower=_slower(name, costs),
            kind=kind,
            seeds=tuple(scores),
            missing=runs.missing(name),
            control_gain=None if gain is None else gain.effect,
            scored=runs.pictures,
        )
        found.append(verdict)
    corrected = holm([one.raw for one in found])
    found = [replace(one, p=p) for one, p in zip(found, corrected, strict=True)]
    found = [replace(one, word=_word(one)) for one in found]
    return [replace(one, notes=_notes(one, others[one.arm], runs, costs)) for one in found]


def reach(verdicts: Sequence[Verdict]) -> Reach | None:
    """The smallest gain over none that can be shown; None where the spread is not known.

    The median spread of the mechanisms stands for that of another one. Two seeds do not tell it.
    """
    effects = [one.none.effect for one in verdicts if one.none is not None]
    effects = [one for one in effects if len(one.differences) > 2]
    spread = statistics.median([one.spread for one in effects] or [0.0])
    if spread == 0:
        return None
    seeds = statistics.median_low(len(one.differences) for one in effects)
    gain = spread * smallest_effect(seeds, tests=len(verdicts))
    return Reach(gain, seeds, len(verdicts), verdicts[0].kind, verdicts[0].scored)


def _others(mechanism: Arm, arms: Sequence[Arm], costs: Mapping[str, Costs]) -> _Others:
    none = next((arm.name for arm in arms if arm.name == NONE), None)
    control = next((arm.name for arm in arms if arm.control_of == mechanism.name), None)
    longer = sorted((arm for arm in arms if arm.longer > 1), key=lambda arm: arm.longer)
    times = _times(mechanism.name, costs)
    if not longer or (times is not None and times < ALIKE):
        return _Others(none, control, None)
    enough = [arm for arm in longer if times is not None and arm.longer >= times * 0.999]
    return _Others(none, control, (enough or longer[-1:])[0].name)


def _times(name: str, costs: Mapping[str, Costs]) -> float | None:
    """How many times as long as that of none a training step takes."""
    if name not in costs or NONE not in costs:
        return None
    own, none = costs[name].step_ms, costs[NONE].step_ms
    return own / none if own and none else None


def _slower(name: str, costs: Mapping[str, Costs]) -> float | None:
    if name not in costs or NONE not in costs:
        return None
    own, none = costs[name].inference_ms, costs[NONE].inference_ms
    return own / none - 1 if own and none else None


def _against(runs: Runs, others: Mapping[str, str | None]) -> dict[str, Against]:
    """Mechanism -> its comparison, of those that can be compared; a family."""
    pairs: dict[str, tuple[str, Paired]] = {}
    for name, other in others.items():
        pair = None if other is None else runs.pair(name, other)
        if other is not None and pair is not None:
            pairs[name] = other, pair
    corrected = holm([pair.effect.p for _, pair in pairs.values()])
    return {
        name: Against(other, pair.effect, pair.pictures, p, _seeds(pair, len(pairs)), pair.mean)
        for (name, (other, pair)), p in zip(pairs.items(), corrected, strict=True)
    }


def _seeds(pair: Paired, mechanisms: int) -> int | None:
    if len(pair.effect.differences) < 2:
        return None
    return seeds_needed(pair.effect.mean, pair.effect.spread, tests=mechanisms)


def _word(verdict: Verdict) -> Word:
    none, control, longer = verdict.none, verdict.control, verdict.longer
    base = control if none is None else none
    if base is None or not base.clear:
        return Word.NO_EVIDENCE
    if base.worse:
        return Word.WORSE
    if none is None:
        return Word.BETTER
    if control is not None and not control.better:
        return Word.CAPACITY
    if longer is not None and not longer.better:
        return Word.TIME
    if control is None:
        return Word.BETTER
    return Word.WORTH if verdict.p < 1 - LEVEL else Word.NO_EVIDENCE


def _notes(
    verdict: Verdict, others: _Others, runs: Runs, costs: Mapping[str, Costs]
) -> tuple[Note, ...]:
    if not verdict.against:
        return (Note.NO_RUN, Note.NO_NUMBER) if verdict.missing else (Note.NO_RUN,)
    found = {
        Note.ONE_SEED: any(len(one.effect.differences) == 1 for one in verdict.against),
        Note.NO_NONE: verdict.none is None,
        Note.NO_CONTROL: verdict.control is None,
        Note.NO_LONGER: _lacks_longer(verdict, others, runs, costs),
        Note.NO_NUMBER: verdict.missing > 0,
        Note.FEWER_SEEDS: _fewer(verdict, others, runs),
        Note.FEW_PICTURES: any(one.lacks_pictures for one in verdict.against),
        Note.NO_PICTURES: any(one.pictures is None for one in verdict.against),
        Note.MORE_PICTURES: any(one.turns_with_pictures for one in verdict.against),
        Note.TOGETHER: verdict.word is Word.NO_EVIDENCE
        and len(verdict.against) > 1
        and all(one.better for one in verdict.against),
    }
    return tuple(note for note, holds in found.items() if holds)


def _lacks_longer(
    verdict: Verdict, others: _Others, runs: Runs, costs: Mapping[str, Costs]
) -> bool:
    """Whether it was trained for longer than none, and none was not as well."""
    times = _times(verdict.arm, costs)
    if verdict.none is None or others.none is None or times is None or times < ALIKE:
        return False
    base = runs.steps(others.none)
    if runs.steps(verdict.arm) * times < ALIKE * base:  # runs are as long in time, not in steps
        return False
    return verdict.longer is None or runs.steps(verdict.longer.arm) * ALIKE < base * times


def _fewer(verdict: Verdict, others: _Others, runs: Runs) -> bool:
    """Whether an arm that it is compared with has seeds that it has not."""
    own = {*verdict.seeds}
    names = [name for name in (others.none, others.control, others.longer) if name is not None]
    return any(not {*runs.known(name)} <= own for name in names) and verdict.missing == 0
