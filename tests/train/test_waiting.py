"""How long steps wait for pictures is measured, written and told."""

import json

import pytest
import torch

from pixelwise.train.feeding import Waited
from pixelwise.train.journal import read_rows
from pixelwise.train.pace import share_waited, waits
from pixelwise.train.run import train


def rows(*pairs):
    return [{"seconds": seconds, "waiting": waiting} for seconds, waiting in pairs]


def test_time_in_next_is_counted_and_asked_for_once():
    now = iter([0.0, 2.0, 5.0, 6.0])
    batches = [(torch.zeros(1), torch.zeros(1), ["a.png"]), (torch.ones(1), torch.ones(1), ["b"])]
    feed = Waited(iter(batches), lambda: next(now))
    assert [*(next(feed) for _ in range(2))] == batches
    assert feed.since() == 3.0
    assert feed.since() == 0.0


def test_the_first_step_does_not_count():
    assert share_waited(rows((10, 9), (1, 0.25), (1, 0.25))) == pytest.approx(0.25)
    assert share_waited(rows((10, 9))) is None
    assert share_waited([]) is None


def test_rows_of_older_runs_do_not_count():
    assert (
        share_waited([*rows((1, 1)), {"seconds": 1.0}, {"seconds": 1.0, "waiting": None}]) is None
    )


def test_told_above_a_tenth():
    assert waits(0.1, 2) is None
    assert waits(None, 2) is None
    assert waits(0.35, 2).startswith("waits   35% of each step for pictures; more --workers than 2")


def test_a_run_writes_it(settings, silent):
    finished = train(settings(steps=4), silent)
    steps = read_rows(finished.run / "steps.csv")
    assert all(0 <= row["waiting"] <= row["seconds"] for row in steps)
    found = json.loads((finished.run / "metrics.json").read_text())["waiting"]
    assert found == pytest.approx(share_waited(steps), abs=1e-4)
