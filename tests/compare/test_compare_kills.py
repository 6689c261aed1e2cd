"""A comparison that is killed, or spread, ends in the numbers of one that is not."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pixelwise.compare.outcome import Outcome

pytestmark = pytest.mark.slow
KILLS = 3
PATIENCE = 600
STEPS, SEEDS = 9, 2
ASKED = f"""
data: scenes
backbone: test_resnet
attention: none,se
seeds: {SEEDS}
steps: {STEPS}
longer: false
exports: false
crop: 64x64
workers: 0
device: cpu
train: {{checkpoint_every: "0"}}
"""
RUNS = [(arm, seed) for arm in ("none", "se") for seed in range(SEEDS)]


def begun(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "pixelwise", "compare", *words, "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def asked(folder, *words):
    (folder / "asked.yaml").write_text(ASKED)
    return begun(folder, "--config", "asked.yaml", "--name", "one", *words)


def ended(process):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return out


def steps_of(folder):
    """How many steps all runs have kept."""
    tables = (folder / "runs/compare/one/runs").glob("*/seed_*/steps.csv")
    return sum(max(0, len(table.read_text().splitlines()) - 1) for table in tables)


def numbers(folder):
    place = folder / "runs/compare/one/runs"
    found = {}
    for arm, seed in RUNS:
        outcome = Outcome.load(place / arm / f"seed_{seed}")
        assert outcome.steps == STEPS
        losses = (place / arm / f"seed_{seed}" / "steps.csv").read_text().splitlines()
        assert len(losses) == 1 + STEPS
        scores = outcome.scores
        kept = [scores.values, scores.drawn, scores.each]
        kept.append(np.array([float(line.split(",")[2]) for line in losses[1:]]))
        found[arm, seed] = kept
    return found


def same(before, after):
    for run, kept in before.items():
        for one, other in zip(kept, after[run], strict=True):
            assert np.array_equal(one, other, equal_nan=True), run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The numbers of a comparison that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    ended(asked(folder))
    return numbers(folder)


def test_a_comparison_that_is_killed_ends_in_the_same_numbers(whole, tmp_path):
    folder, chance = tmp_path, random.Random(KILLS)
    moments = sorted(chance.randrange(STEPS * len(RUNS)) for _ in range(KILLS))
    process = asked(folder)
    for moment in moments:
        until = time.monotonic() + PATIENCE
        while not (folder / "runs/compare/one/plan.json").exists() or steps_of(folder) < moment:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(chance.random())  # in a step, an evaluation, or between two runs
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        process = begun(folder, "--resume", "runs/compare/one")
    ended(process)
    same(whole, numbers(folder))


def test_a_comparison_on_a_cluster_is_that_of_one_process(whole, tmp_path):
    pytest.importorskip("ray", reason="clusters need Ray")
    told = ended(asked(tmp_path, "--cluster", "local", "--at-once", "2"))
    same(whole, numbers(tmp_path))
    runs = tmp_path / "runs/compare/one/runs"
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    again = ("--resume", "runs/compare/one", "--cluster", "local", "--at-once", "2")
    assert ended(begun(tmp_path, *again)) == told
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before
