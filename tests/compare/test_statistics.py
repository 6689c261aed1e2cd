import math

import numpy as np
import pytest
from scipy import stats

from pixelwise.compare.statistics import effect, holm, seeds_needed
from pixelwise.errors import InputError


def test_an_effect_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 20):
        first, second = rng.normal(size=(2, n))
        found = effect(list(map(float, second - first)))
        peer = stats.ttest_rel(second, first)
        assert found.p == pytest.approx(peer.pvalue, rel=1e-9)
        assert (found.low, found.high) == pytest.approx(peer.confidence_interval(0.95), rel=1e-9)
        assert found.mean == pytest.approx(float((second - first).mean()))


def test_one_seed_shows_nothing():
    found = effect([0.3])
    assert (found.mean, found.low, found.high, found.p) == (0.3, -math.inf, math.inf, 1.0)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.25, 0.0)])
def test_equal_differences_have_no_spread(value, p):
    found = effect([value] * 3)
    assert (found.mean, found.low, found.high, found.p) == (value, value, value, p)


@pytest.mark.parametrize("wrong", [[], [0.1, math.nan], [math.inf]])
def test_seeds_without_a_score_are_refused(wrong):
    with pytest.raises(InputError, match="one per seed"):
        effect(wrong)


def test_holm_as_worked_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_intervals_cover_a_known_effect():
    """Of 2000 comparisons of three seeds about 95 % hold the truth; the standard error is 0.5 %."""
    rng = np.random.default_rng(1)
    seed_effect = rng.normal(0, 0.02, (2000, 3, 1))
    scores = 0.5 + seed_effect + rng.normal(0, 0.01, (2000, 3, 2)) + [0.0, 0.013]
    held = 0
    for one in scores:
        found = effect(list(map(float, one[:, 1] - one[:, 0])))
        held += found.low <= 0.013 <= found.high
    assert abs(held / 2000 - 0.95) < 0.015


def test_false_wins_stay_rare_among_twenty_candidates():
    """All share the network that they are compared with, so their differences are correlated."""
    rng = np.random.default_rng(2)
    families = 0
    for _ in range(1000):
        scores = rng.normal(0, 0.01, (21, 3))
        found = [effect(list(map(float, one - scores[0]))) for one in scores[1:]]
        corrected = holm([one.p for one in found])
        families += any(p < 0.05 and one.mean > 0 for p, one in zip(corrected, found, strict=True))
    assert families / 1000 <= 0.05


def test_the_seeds_that_are_said_to_suffice_do():
    rng = np.random.default_rng(3)
    for mean, spread in ((0.01, 0.01), (-0.02, 0.012), (0.004, 0.01)):
        n = seeds_needed(mean, spread)
        assert n is not None
        share = {}
        for count in (n - 1, n):
            drawn = rng.normal(mean, spread, (4000, count))
            share[count] = float((stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean())
        assert share[n] > 0.78
        assert share[n - 1] < 0.82
    assert seeds_needed(0.0, 0.1) is None
    assert seeds_needed(1e-6, 1.0) is None
    assert seeds_needed(0.1, 0.0) == 2
