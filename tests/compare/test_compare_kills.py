"""A comparison that is killed again and again ends in the numbers of one that was not."""

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
KILLS = int(os.environ.get("PIXELWISE_KILLS", "3"))
PATIENCE = 600
STEPS, SEEDS = 12, 2
ASKED = f"""
data: scenes
backbone: test_resnet
attention: none,se
seeds: {SEEDS}
steps: {STEPS}
longer: false
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


def asked(folder):
    (folder / "asked.yaml").write_text(ASKED)
    return begun(folder, "--config", "asked.yaml", "--name", "one")


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


def test_a_comparison_that_is_killed_ends_in_the_same_numbers(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    ended(asked(tmp_path / "whole"))
    folder, chance = tmp_path / "killed", random.Random(KILLS)
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
    told = ended(process)
    before, after = numbers(tmp_path / "whole"), numbers(folder)
    for run, kept in before.items():
        for one, other in zip(kept, after[run], strict=True):
            assert np.array_equal(one, other, equal_nan=True), run
    assert told.replace(str(folder), "") == ended(begun(folder, "--resume", "runs/compare/one"))
