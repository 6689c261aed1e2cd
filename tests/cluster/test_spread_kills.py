"""Runs of a comparison by Ray itself, and workers that are killed in the middle of one."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from pixelwise.compare.arms import Arm
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.jobs import Job
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.running import make_run
from pixelwise.compare.spreading import spread
from pixelwise.train.watching import Nobody

pytest.importorskip("ray", reason="clusters need Ray")
pytestmark = pytest.mark.slow
PATIENCE = 300
STEPS = 12
ARMS = (Arm("none"), Arm("se", "se@4"))
JOBS = [Job(arm, seed, STEPS, None, None, f"seed_{seed}") for seed in range(2) for arm in ARMS]


def settings(folder, **about):
    return CompareSettings(
        data="scenes",
        backbone="test_resnet",
        seeds=2,
        crop="64x64",
        workers=0,
        device="cpu",
        runs=str(folder),
        train={"checkpoint_every": "0"},  # after each step
        **about,
    )


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The outcomes of runs that this process made, one after the other."""
    folder = tmp_path_factory.mktemp("alone")
    for job in JOBS:
        make_run(folder, settings(folder), job, Nobody(), lambda line: None)
    return outcomes(folder)


def outcomes(folder):
    return {job: Outcome.load(job.folder(folder)) for job in JOBS}


def steps_of(run):
    """How many steps a run has kept."""
    file = run / "steps.csv"
    return len(file.read_text().splitlines()) - 1 if file.is_file() else 0


def same(here, there):
    for job, one in here.items():
        assert np.array_equal(one.scores.values, there[job].scores.values, equal_nan=True), job
        assert np.array_equal(one.scores.drawn, there[job].scores.drawn, equal_nan=True), job
        assert one.steps == there[job].steps == STEPS
        assert one.pictures == there[job].pictures


def test_runs_that_are_spread_are_those_of_one_process(alone, tmp_path):
    about = settings(tmp_path, cluster="local", at_once=2)
    warned = []
    found = list(spread(tmp_path, about, JOBS, Nobody(), warned.append))
    assert sorted(map(str, found)) == sorted(map(str, JOBS))
    same(alone, outcomes(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert len(list(spread(tmp_path, about, JOBS, Nobody(), warned.append))) == len(JOBS)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_killed_worker_costs_what_came_after_the_checkpoint(alone, tmp_path):
    about = settings(tmp_path, cluster="local", at_once=2)
    killed, warned = [], []

    def kill():
        until = time.monotonic() + PATIENCE
        while not killed and time.monotonic() < until:
            for job in JOBS[2:]:
                lock = job.folder(tmp_path) / ".pixelwise.lock"
                if steps_of(job.folder(tmp_path)) >= 3 and (number := lock.read_text().strip()):
                    os.kill(int(number), signal.SIGKILL)
                    killed.append(job)
                    break
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    found = list(spread(tmp_path, about, JOBS, Nobody(), warned.append))
    killer.join()
    assert sorted(map(str, found)) == sorted(map(str, JOBS))  # none is missing, none twice
    assert len([line for line in warned if line.startswith("cluster: a worker ended")]) == 1
    same(alone, outcomes(tmp_path))
    (job,) = killed
    assert steps_of(job.folder(tmp_path)) == STEPS
