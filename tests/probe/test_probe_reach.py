"""Reach and intervals of hand-made curves."""

import math

import pytest

from pixelwise.probe.reach import curve, over_seeds, wilson
from pixelwise.probe.training import Trained

DISTANCES = (1, 2, 4, 8)


def made(accuracy, variant="distance", seed=0, maps=100):
    counts = tuple(0 if a is None else maps for a in accuracy)
    return Trained("se", variant, seed, DISTANCES, tuple(accuracy), counts, 0.1, 5, 1.0)


@pytest.mark.parametrize(
    ("accuracy", "variant", "reach", "whole"),
    [
        ((1.0, 1.0, 1.0, 1.0), "distance", 8, True),
        ((1.0, 0.63, 0.62, 1.0), "distance", 2, False),  # half way from 0.25 to 1: 0.625
        ((0.25, 1.0, 1.0, 1.0), "distance", 0, False),
        ((0.9, 0.7, 0.7, 0.7), "order", 1, False),  # half way from 0.5: 0.75
        ((1.0, None, 1.0, None), "position", 4, True),
        ((None, None, None, None), "count", 0, False),
    ],
)
def test_reach(accuracy, variant, reach, whole):
    found = curve([made(accuracy, variant)])
    assert (found.reach, found.is_whole) == (reach, whole)


def test_the_text_of_a_curve():
    assert curve([made((1.0, 1.0, 0.5, 0.5))]).text == "2 (75 %)"
    assert curve([made((1.0, 1.0, 1.0, 1.0))]).text == ">=8 (100 %)"
    assert curve([made((None, None, None, None))]).text == "absent"


def test_intervals():
    low, high = wilson(0.5, 100)  # from tables
    assert (round(low, 3), round(high, 3)) == (0.404, 0.596)
    low, high = wilson(1.0, 10)
    assert (round(low, 3), high) == (0.722, 1.0)
    low, high = over_seeds([0.4, 0.5, 0.6])  # t(2) = 4.303
    assert (low, high) == pytest.approx((0.5 - 4.303 * 0.1 / math.sqrt(3), 0.7484), abs=1e-3)


def test_seeds_are_averaged():
    found = curve([made((1.0, 1.0, 0.2, 0.2)), made((1.0, 0.0, 0.2, None), seed=1)])
    assert [point.accuracy for point in found.points] == [1.0, 0.5, 0.2, 0.2]
    assert found.points[0].low == found.points[0].high == 1.0
    assert found.points[1].low == 0.0
    assert found.points[3].high < 1  # one seed: Wilson's
