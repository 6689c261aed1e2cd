"""Planted truths: what is said of runs whose true effects are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from simulated import arms, simulate

from pixelwise.compare import judging
from pixelwise.compare.costs import Costs
from pixelwise.compare.judging import judge, reach
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.compare.statistics import smallest_effect
from pixelwise.compare.verdicts import Note, Verdict, Word
from pixelwise.errors import InputError
from pixelwise.metrics import Kind

ERROR = Kind("mean_error", "mean error", False, False, "px")


def costs(**step_ms: float) -> dict[str, Costs]:
    return {name: Costs(1000, 10, float(ms), ms / 10, 5.0) for name, ms in step_ms.items()}


def judged(names, effects, *, seed=0, longer=1.0, known=None, **how) -> dict[str, Verdict]:
    found = arms(*names, longer=longer)
    outcomes = simulate(np.random.default_rng(seed), found, effects, **how)
    return {one.arm: one for one in judge(outcomes, found, known or {})}


def test_planted_truths():
    effects = {
        "good": 0.08,
        "large": 0.08,
        "control of large": 0.08,
        "slow": 0.08,
        "none, 2 times as long": 0.08,
        "harmful": -0.08,
    }
    known = costs(none=100, good=103, large=103, slow=180, harmful=103, nothing=103)
    names = ("good", "large", "slow", "harmful", "nothing")
    found = judged(names, effects, longer=2.0, known=known, seeds=5, spread=0.008)
    assert {name: one.word for name, one in found.items()} == {
        "good": Word.WORTH,
        "large": Word.CAPACITY,
        "slow": Word.TIME,
        "harmful": Word.WORSE,
        "nothing": Word.NO_EVIDENCE,
    }
    assert found["good"].longer is None
    assert found["slow"].longer is not None
    assert found["slow"].slower == pytest.approx(0.8)
    assert found["large"].control_gain is not None
    assert found["large"].control_gain.mean == pytest.approx(0.08, abs=0.02)
    assert all(one.notes == () for one in found.values())


def test_an_identity_has_no_effect_at_all():
    found = arms("identity")
    none, _, control = simulate(np.random.default_rng(0), found, {}, seeds=1)
    outcomes = [
        replace(one, arm=arm.name, seed=seed)
        for arm in found
        for seed, one in enumerate((none, control))
    ]
    (verdict,) = judge(outcomes, found, {})
    assert verdict.word is Word.NO_EVIDENCE
    assert verdict.none is not None
    assert (verdict.none.effect.mean, verdict.none.pictures) == (0.0, (0.0, 0.0))
    assert (verdict.p, verdict.none.seeds) == (1.0, None)
    assert reach([verdict]) is None


def test_a_smaller_error_is_better():
    effects = {"good": -2.0, "harmful": 2.0}
    found = judged(("good", "harmful"), effects, seeds=4, kind=ERROR, spread=0.1)
    assert [one.word for one in found.values()] == [Word.WORTH, Word.WORSE]
    good = found["good"].none
    assert good is not None
    assert good.pictures is not None
    assert good.effect.mean == pytest.approx(2.0, abs=0.2)
    assert good.pictures[0] < good.effect.mean < good.pictures[1]
    assert found["good"].mean == pytest.approx(0.6 - 2.0, abs=0.2)


def test_seeds_make_pairs():
    """Seeds differ by 30 points, arms with the same seed by 3: only pairs can show that."""
    found = arms("good")
    outcomes = simulate(np.random.default_rng(3), found, {"good": 0.03}, seeds=4, spread=0.003)
    by_seed = {0: -0.2, 1: 0.1, 2: 0.0, 3: 0.3}
    moved = []
    for one in outcomes:
        scores, by = one.scores, by_seed[one.seed]
        scores = replace(scores, values=scores.values + by, drawn=scores.drawn + by)
        moved.append(replace(one, scores=scores))
    (verdict,) = judge(moved[::-1], found, {})
    assert verdict.word is Word.WORTH
    assert verdict.none is not None
    assert verdict.none.effect.low > 0.01


def test_pictures_can_turn_what_seeds_show():
    found = arms("one")
    outcomes = simulate(np.random.default_rng(0), found, {}, seeds=4, noise=0.0, spread=1e-6)
    changed = []
    for one in outcomes:
        each = one.scores.each.copy()
        if one.arm == "one":
            each[0] += 3.0  # of 60 pictures one alone is better, by far
            each[1:] -= 0.01
        weights = np.random.default_rng(0).multinomial(60, [1 / 60] * 60, 200)
        scores = Scores(one.scores.kinds, each.mean(axis=0), weights @ each / 60, each)
        changed.append(replace(one, scores=scores))
    (verdict,) = judge(changed, found, {})
    assert verdict.none is not None
    assert verdict.none.sure
    assert verdict.none.p < 0.001
    assert not verdict.none.clear
    assert verdict.word is Word.NO_EVIDENCE
    assert verdict.notes == (Note.MORE_PICTURES,)


def test_one_seed_and_one_picture_show_nothing():
    one_seed = judged(("se",), {"se": 0.3}, seeds=1)["se"]
    assert (one_seed.word, one_seed.p) == (Word.NO_EVIDENCE, 1.0)
    assert one_seed.notes == (Note.ONE_SEED,)
    assert one_seed.none is not None
    assert one_seed.none.seeds is None
    one_picture = judged(("se",), {"se": 0.3}, seeds=5, pictures=1, draws=0)["se"]
    assert one_picture.word is Word.NO_EVIDENCE
    assert one_picture.notes == (Note.FEW_PICTURES,)


def test_scores_without_pictures_are_judged_over_seeds():
    found = arms("se")
    outcomes = [
        replace(one, scores=Scores.single(Kind("pq", "PQ"), one.main))
        for one in simulate(np.random.default_rng(0), found, {"se": 0.2}, seeds=4)
    ]
    (verdict,) = judge(outcomes, found, {})
    assert verdict.word is Word.WORTH
    assert verdict.notes == (Note.NO_PICTURES,)


def test_runs_without_a_score_are_left_out_and_told():
    found = arms("se")
    outcomes = simulate(np.random.default_rng(0), found, {"se": 0.2}, seeds=4)
    gone = [_without_number(o) if (o.arm, o.seed) == ("se", 1) else o for o in outcomes]
    (verdict,) = judge(gone, found, {})
    assert (verdict.seeds, verdict.missing) == ((0, 2, 3), 1)
    assert verdict.notes == (Note.NO_NUMBER,)
    assert verdict.none is not None
    assert len(verdict.none.effect.differences) == 3
    kept = [one for one in outcomes if (one.arm, one.seed) != ("se", 1)]
    (other,) = judge(kept, found, {})
    assert other.notes == (Note.FEWER_SEEDS,)
    assert other.none == verdict.none
    (none,) = judge([_without_number(one) for one in outcomes], found, {})
    assert (none.word, none.notes) == (Word.NO_EVIDENCE, (Note.NO_RUN, Note.NO_NUMBER))
    assert math.isnan(none.mean)


def _without_number(one: Outcome) -> Outcome:
    values = np.full_like(one.scores.values, np.nan)
    return replace(one, scores=replace(one.scores, values=values))


@pytest.mark.parametrize(
    ("left_out", "word", "note"),
    [
        ("control of se", Word.BETTER, Note.NO_CONTROL),
        ("none", Word.BETTER, Note.NO_NONE),
    ],
)
def test_what_was_not_trained_is_said(left_out, word, note):
    found = arms("se")
    outcomes = simulate(np.random.default_rng(0), found, {"se": 0.2}, seeds=4)
    outcomes = [one for one in outcomes if one.arm != left_out]
    for of in (found, [arm for arm in found if arm.name != left_out]):
        (verdict,) = judge(outcomes, of, {})
        assert (verdict.word, verdict.notes) == (word, (note,))


def test_no_runs_at_all():
    (verdict,) = judge([], arms("se"), {})
    assert (verdict.word, verdict.notes, verdict.seeds) == (Word.NO_EVIDENCE, (Note.NO_RUN,), ())
    assert judge([], arms(), {}) == []


def test_the_longer_none_is_at_least_as_long():
    found = [*arms("a", "b", "c", longer=1.2), *arms(longer=2.0)[1:]]
    outcomes = simulate(np.random.default_rng(0), found, {})
    known = costs(none=100, a=104, b=120, c=121)
    verdicts = judge(outcomes, found, known)
    names = [None if one.longer is None else one.longer.arm for one in verdicts]
    assert names == [None, "none, 1.2 times as long", "none, 2 times as long"]
    assert all(one.notes == () for one in verdicts)


@pytest.mark.parametrize(
    ("step_ms", "steps", "told"), [(121, 100, True), (104, 100, False), (121, 82, False)]
)
def test_none_that_was_not_trained_for_as_long_is_said(step_ms, steps, told):
    """Runs may be equally long in steps, or in time."""
    found = arms("a")
    outcomes = [
        replace(one, steps=steps if one.arm == "a" else 100)
        for one in simulate(np.random.default_rng(0), found, {})
    ]
    (verdict,) = judge(outcomes, found, costs(none=100, a=step_ms))
    assert (Note.NO_LONGER in verdict.notes) == told
    longer = arms("a", longer=1.1)
    outcomes = simulate(np.random.default_rng(0), longer, {})
    (verdict,) = judge(outcomes, longer, costs(none=100, a=160))
    assert verdict.notes == (Note.NO_LONGER,)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pictures": ("else.png",)}, "run=se, seed 0: was scored on other pictures than none"),
        ({"arm": "gc"}, "run=gc, seed 0: is none of what is compared"),
        ({"arm": "none"}, "run=none, seed 0: is there twice"),
        ({"scores": Scores.single(ERROR, 3.0)}, "run=se, seed 0: has other scores than none"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(wrong, message):
    found = arms("se")
    outcomes = simulate(np.random.default_rng(0), found, {})
    outcomes[3] = replace(outcomes[3], **wrong)
    with pytest.raises(InputError, match=message):
        judge(outcomes, found, {})


def test_clear_alone_but_not_together():
    """Holm over the largest p is stricter than over each."""
    found = arms("a", "b")
    differences = {
        ("a", "none"): [0.03, 0.05, 0.07],
        ("a", "control of a"): [0.0400, 0.0401, 0.0402],
        ("b", "none"): [0.0400, 0.0401, 0.0402],
        ("b", "control of b"): [0.03, 0.05, 0.07],
    }
    scores = {}
    for seed in range(3):
        scores["none", seed] = 0.5
        for name in ("a", "b"):
            scores[name, seed] = 0.5 + differences[name, "none"][seed]
            control = differences[name, f"control of {name}"][seed]
            scores[f"control of {name}", seed] = scores[name, seed] - control
    outcomes = [
        Outcome(arm, seed, Scores.single(Kind("pq", "PQ"), value), None, (), (), 1, 1.0, 0.1)
        for (arm, seed), value in scores.items()
    ]
    verdicts = judge(outcomes, found, {})
    assert all(against.better for one in verdicts for against in one.against)
    assert [one.word for one in verdicts] == [Word.NO_EVIDENCE] * 2
    assert all(Note.TOGETHER in one.notes for one in verdicts)


def test_intervals_cover_a_known_effect(monkeypatch):
    """Of those of 200 comparisons of three seeds, 95 +- 3 % hold the true effect."""
    monkeypatch.setattr(judging, "seeds_needed", lambda *args, **options: None)
    found = arms("a", "b")
    effects = dict.fromkeys("ab", 0.013)
    rng, held = np.random.default_rng(5), []
    for _ in range(200):
        for one in judge(simulate(rng, found, effects, pictures=10, draws=20), found, {}):
            held += [other.effect.low <= 0.013 <= other.effect.high for other in one.against]
    assert len(held) == 800
    assert abs(np.mean(held) - 0.95) <= 0.03


def test_intervals_over_pictures_cover_the_effect_on_all_pictures(monkeypatch):
    """A mechanism helps some pictures and harms others; the percentile interval is a bit narrow."""
    monkeypatch.setattr(judging, "seeds_needed", lambda *args, **options: None)
    found = arms("a", control=False)
    rng, held = np.random.default_rng(6), 0
    for _ in range(200):
        runs = simulate(rng, found, {"a": 0.02}, spread=1e-4, varied=0.1, pictures=40, draws=1000)
        (verdict,) = judge(runs, found, {})
        low, high = verdict.none.pictures
        held += low <= 0.02 <= high
        assert low < verdict.none.effect.mean < high
    assert 0.91 <= held / 200 <= 0.98


def test_an_effect_of_the_size_that_is_said_is_shown(monkeypatch):
    """The spread of differences is 0.01 here."""
    found = arms("a", "b", control=False)
    many = simulate(np.random.default_rng(0), found, {}, seeds=100, noise=0.0, pictures=2, draws=2)
    known = reach(judge(many, found, {}))
    assert known is not None
    assert (known.seeds, known.mechanisms) == (100, 2)
    assert known.gain == pytest.approx(0.01 * smallest_effect(100, tests=2), rel=0.15)
    monkeypatch.setattr(judging, "seeds_needed", lambda *args, **options: None)
    shown, effects = 0, {"a": 0.01 * smallest_effect(5, tests=2)}
    rng = np.random.default_rng(1)
    for _ in range(200):
        runs = simulate(rng, found, effects, seeds=5, noise=0.0, pictures=2, draws=2)
        shown += judge(runs, found, {})[0].none.better
    assert abs(shown / 200 - 0.8) < 0.08
    assert reach([]) is None
    two = simulate(np.random.default_rng(2), found, {}, seeds=2, pictures=2, draws=2)
    assert reach(judge(two, found, {})) is None


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [False, True], ids=["equal", "controls gain as much"])
def test_false_wins_stay_rare_among_twenty_candidates(capacity, monkeypatch):
    """None of 20 is better than none and its control: in 400 comparisons 5 % say so at most."""
    monkeypatch.setattr(judging, "seeds_needed", lambda *args, **options: None)
    names = [f"m{i}" for i in range(20)]
    found = arms(*names, longer=1.5)
    effects = {arm.name: 0.1 for arm in found if arm.plan is not None} if capacity else {}
    rng, wins, gains, losses = np.random.default_rng(3), 0, 0, 0
    for _ in range(400):
        outcomes = simulate(rng, found, effects, pictures=30, draws=100)
        words = {one.word for one in judge(outcomes, found, {})}
        wins += Word.WORTH in words
        gains += bool(words & {Word.WORTH, Word.CAPACITY, Word.TIME, Word.BETTER})
        losses += Word.WORSE in words
    assert wins / 400 <= 0.05
    assert losses / 400 <= 0.05
    if not capacity:
        assert gains / 400 <= 0.05
    else:
        assert gains > 0
