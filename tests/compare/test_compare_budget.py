"""How long runs are, and what is dropped on the way."""

import dataclasses

import numpy as np
import pytest

from pixelwise.compare import measuring
from pixelwise.compare.arms import NONE, Arm, longer
from pixelwise.compare.budget import longer_factors, shortened, steps_within
from pixelwise.compare.costs import FILE, Costs, load, save
from pixelwise.compare.halving import rungs, survivors
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.errors import InputError
from pixelwise.metrics import Kind


def costs(milliseconds: float | None) -> Costs:
    return Costs(10, 20, milliseconds, 5.0, 3.0)


def test_all_runs_together_take_the_budget():
    times = [0.1, 0.2, 0.1 * 1.5]
    steps = steps_within(3600.0, 3, times, 20.0)
    taken = 3 * (steps * sum(times) + 20.0 * len(times))
    assert 3600 - 3 * sum(times) < taken <= 3600


def test_a_budget_that_allows_nothing_says_what_would_do():
    with pytest.raises(
        InputError, match=r"budget=60s: leaves 0 steps for each of 6 runs.*at least"
    ):
        steps_within(60.0, 3, [1.0, 1.0], 20.0)
    steps_within(3 * (20 * 2.0 + 40.0), 3, [1.0, 1.0], 20.0)


def test_none_is_trained_longer_by_few_factors():
    arms = [Arm(NONE), Arm("a", "a@4"), Arm("b", "b@4"), Arm("c", "c@4"), Arm("d", "d@4")]
    arms.append(Arm("control of a", "conv@4", "a"))
    taken = {NONE: 100.0, "a": 104.0, "b": 112.0, "c": 124.0, "d": None, "control of a": 300.0}
    factors = longer_factors(arms, {name: costs(one) for name, one in taken.items()})
    assert factors == {"b": 1.25, "c": 1.25}
    (extra,) = longer(arms, factors)
    assert extra == Arm("none, 1.25 times as long", longer=1.25)
    assert longer(arms[1:], factors) == []


@pytest.mark.parametrize("tries", [0, 2, 3, 9])
def test_tries_are_a_part_of_the_length(tries):
    length, each = shortened(1000.0, tries)
    assert length * (1 + tries * each) == pytest.approx(1000)
    assert length >= 500


@pytest.mark.parametrize(("seeds", "after"), [(1, set()), (2, {1}), (3, {1, 2}), (9, {3, 6})])
def test_halving_is_after_thirds_of_the_seeds(seeds, after):
    assert rungs(seeds) == after


def outcome(arm: str, value: float, larger: bool = True) -> Outcome:
    scores = Scores.single(Kind("error", "error", larger, False, "px"), value)
    return Outcome(arm, 0, scores, None, ("one",), (), 1, 1.0, 1e-3)


@pytest.mark.parametrize(("larger", "kept"), [(True, ["b", "d"]), (False, ["a", "c"])])
def test_the_better_half_stays_with_its_controls(larger, kept):
    arms = [Arm(NONE), *(Arm(name, f"{name}@4") for name in "abcd")]
    arms += [Arm(f"control of {name}", "conv@4", name) for name in "abcd"]
    arms.append(Arm("none, 2 times as long", longer=2.0))
    values = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 4.0, "control of a": 9.0}
    left = survivors(arms, [outcome(name, value, larger) for name, value in values.items()])
    controls = [f"control of {name}" for name in kept]
    assert [arm.name for arm in left] == [NONE, *kept, *controls, "none, 2 times as long"]


def test_what_has_no_score_is_dropped_first():
    arms = [Arm(name, f"{name}@4") for name in "ab"]
    assert [arm.name for arm in survivors(arms, [outcome("a", np.nan), outcome("b", -5.0)])] == [
        "b"
    ]


def test_costs_are_kept(tmp_path):
    known = {NONE: costs(1.5), "psa_s(a=1)": dataclasses.replace(costs(None), exports={"onnx": ""})}
    save(known, tmp_path)
    assert load(tmp_path) == known
    (tmp_path / FILE).write_text("{")
    assert load(tmp_path) is None


class Told(measuring._Subject):
    """A subject whose steps take what they are told."""

    def __init__(self, *seconds):
        self.left = list(seconds)

    def step(self):
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def answer(self):
        return 0.1


def test_a_disturbed_measurement_takes_more_turns_and_is_not_believed():
    disturbed, steady = Told(1.0, 30.0, 1.0), Told(1.0)
    own, base = measuring._in_turns(disturbed, steady, 0.0)
    assert len(own) == len(base) == measuring.ENOUGH
    assert measuring._ratios(own, base) == (1.0, 1.0)


def test_steady_measurements_take_few_turns():
    own, _ = measuring._in_turns(Told(2.0), Told(1.0), 0.0)
    assert len(own) == measuring.LEAST
