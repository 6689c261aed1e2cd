from dataclasses import replace

import numpy as np
import pytest
from simulated import arms, simulate

from pixelwise.compare.details import details
from pixelwise.compare.outcome import Scores
from pixelwise.metrics import Kind

CLASSES = ("road", "sky", "自行车")


def outcomes(found, **how):
    return simulate(np.random.default_rng(1), found, {}, seeds=4, classes=CLASSES, **how)


def changed(one, column, by):
    """The outcome with `by` added to a column of its scores."""
    parts = {}
    for name in ("values", "drawn", "each"):
        values = getattr(one.scores, name).copy()
        values[..., column] += by
        parts[name] = values
    return replace(one, scores=replace(one.scores, **parts))


def test_a_class_that_gains_stands_out():
    found = arms("se", "gc")
    runs = [changed(one, 3, 0.3) if one.arm == "se" else one for one in outcomes(found)]
    grids = details(runs, found)
    assert [(grid.part, grid.against) for grid in grids] == [
        ("scores", "none"),
        ("scores", "control"),
    ]
    for grid in grids:
        assert [kind.title for kind in grid.kinds] == list(CLASSES)
        clear = {name: [one.clear for one in row] for name, row in grid.rows.items()}
        assert clear == {"se": [False, False, True], "gc": [False] * 3}
        assert grid.rows["se"][2].effect.mean == pytest.approx(0.3, abs=0.05)


def test_p_is_corrected_within_a_row():
    found = arms("se")
    row = details(outcomes(found), found)[0].rows["se"]
    assert min(one.p for one in row) == pytest.approx(min(1, 3 * min(o.effect.p for o in row)))


def test_a_class_that_no_mask_has_is_no_number():
    found = arms("se")
    runs = [changed(one, 1, np.nan) for one in outcomes(found)]
    row = details(runs, found)[0].rows["se"]
    assert row[0] is None
    assert all(one is not None and np.isfinite(one.effect.mean) for one in row[1:])


def test_a_class_that_some_draws_lack():
    found = arms("se")
    runs = outcomes(found)
    for one in runs:
        one.scores.drawn[:150, 2] = np.nan  # of 200
    cell = details(runs, found)[0].rows["se"][1]
    low, high = cell.pictures
    assert low < cell.effect.mean < high


def test_sizes_of_objects_and_errors():
    kinds = (Kind("small", "small"), Kind("error_large", "large", False, False, "px"))
    found = arms("se", control=False)
    runs = []
    for one in outcomes(found):
        by = 0.2 if one.arm == "se" else 0.0
        values = one.scores.values[:2] + by
        sizes = Scores(kinds, values, one.scores.drawn[:, :2] + by, one.scores.each[:, :2] + by)
        runs.append(replace(one, sizes=sizes))
    grid = details(runs, found)[1]
    assert (grid.part, grid.against, grid.kinds) == ("sizes", "none", kinds)
    small, large = grid.rows["se"]
    assert small.effect.mean > 0.1
    assert large.effect.mean < -0.1


@pytest.mark.parametrize("seeds", [0, 1])
def test_few_runs(seeds):
    found = arms("se")
    runs = simulate(np.random.default_rng(0), found, {}, seeds=seeds, classes=CLASSES)
    grids = details(runs, found)
    assert len(grids) == (2 if seeds else 0)
    assert not any(cell.clear for grid in grids for row in grid.rows.values() for cell in row)
