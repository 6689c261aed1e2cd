"""Runs of a comparison by Ray itself: workers are killed, and the command is stopped."""

import dataclasses
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
STEPS = 40
JOBS = [Job(arm, 1, STEPS, None, None, "seed_1") for arm in (Arm("none"), Arm("se", "se@4"))]


def settings(folder, every):
    """Both runs at once, with a checkpoint every so many seconds."""
    return CompareSettings(
        data="scenes",
        backbone="test_resnet",
        crop="64x64",
        workers=0,
        device="cpu",
        runs=str(folder),
        cluster="local",
        at_once=2,
        train={"checkpoint_every": every},
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
        make_run(folder, settings(folder, "60s"), job, Nobody(), lambda line: None)
    return outcomes(folder)


def outcomes(folder):
    return {job: Outcome.load(job.folder(folder)) for job in JOBS}


def steps_of(run):
    """How many steps a run has kept."""
    file = run / "steps.csv"
    return max(0, len(file.read_text().splitlines()) - 1) if file.is_file() else 0


def same(here, folder):
    for job, there in outcomes(folder).items():
        assert np.array_equal(here[job].scores.values, there.scores.values, equal_nan=True), job
        assert np.array_equal(here[job].scores.drawn, there.scores.drawn, equal_nan=True), job
        assert there.steps == steps_of(job.folder(folder)) == STEPS


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_whose_worker_ends_goes_on_from_its_checkpoint(alone, tmp_path, how):
    killed, warned, left = [], [], []

    def kill():
        until = time.monotonic() + PATIENCE
        while not killed and time.monotonic() < until:
            for job in JOBS:
                run = job.folder(tmp_path)
                if steps_of(run) < 3 or not (number := (run / ".pixelwise.lock").read_text()):
                    continue
                os.kill(int(number), how)
                killed.append(job)
                left.append(steps_of(run))
                break
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    found = list(spread(tmp_path, settings(tmp_path, "0"), JOBS, Nobody(), warned.append))
    killer.join()
    assert sorted(map(str, found)) == sorted(map(str, JOBS))  # none is missing, none twice
    assert 3 <= left[0] < STEPS
    (line,) = warned
    assert line.startswith("cluster: a worker ended (it was killed or crashed); 1 task goes")
    same(alone, tmp_path)


def test_ctrl_c_saves_the_state_of_runs_and_a_second_start_goes_on(tmp_path):
    class Impatient(Nobody):
        def step(self, progress, step, loss, elapsed):
            if step >= enough:
                raise KeyboardInterrupt

    about = settings(tmp_path, "10m")  # no checkpoint but that of the end
    jobs = [dataclasses.replace(job, steps=20_000) for job in JOBS]
    enough = 3
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            list(spread(tmp_path, about, jobs, Impatient(), print))
        begun = [job.folder(tmp_path) for job in jobs]
        assert all(list((run / "checkpoints").glob("*.pt")) for run in begun if steps_of(run))
        kept = sum(steps_of(run) for run in begun)
        assert kept >= enough
        enough = kept + 3
