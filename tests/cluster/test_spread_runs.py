"""Runs of a comparison as tasks, in this process and without Ray; what they compute is not here."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
import torch
from fake_ray import FakeRay

from pixelwise.cli.main import main
from pixelwise.cluster.pool import Share
from pixelwise.cluster.workers import Cluster
from pixelwise.compare import spreading, trainer
from pixelwise.compare.arms import Arm
from pixelwise.compare.asked import ASKED, CompareSettings
from pixelwise.compare.jobs import Job
from pixelwise.compare.outcome import NUMBERS
from pixelwise.compare.spreading import spread
from pixelwise.errors import InputError
from pixelwise.outputs import alone
from pixelwise.settings import as_plain
from pixelwise.train.interrupt import Interrupted
from pixelwise.train.watching import Nobody
from pixelwise.yaml_files import to_text

ARMS = (Arm("none"), Arm("通道 se(reduction=4)", "se@4"))
JOBS = [Job(arm, seed, 10, None, None, f"seed_{seed}") for arm in ARMS for seed in range(3)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A comparison's folder, and what makes its runs: `place(ray)` gives the finished jobs."""
    folder = tmp_path / "比较 1"
    folder.mkdir()
    threads = torch.get_num_threads()
    said, warned, made = [], [], []

    def make_run(where, settings, job, watcher, warn):
        run = job.folder(where)
        run.mkdir(parents=True, exist_ok=True)
        watcher.step(0.5, 5, 1.0, 0.1)
        made.append(job)
        place.while_running(job)
        if job.seed == 2:
            warn("learns little; train longer")
        (run / NUMBERS).write_text("{}")

    class Watcher(Nobody):
        def say(self, line):
            said.append(line)

    def place(ray, jobs=JOBS, workers=2, data="scenes"):
        @contextlib.contextmanager
        def cluster_at(where, *, workers, gpu_share, device, warn):
            yield Cluster(ray, 2, Share(1.0), "cpu", warn, 1)

        monkeypatch.setattr(spreading, "cluster_at", cluster_at)
        settings = CompareSettings(data=data, cluster="local")
        return list(spread(folder, settings, jobs, Watcher(), warned.append))

    place.folder, place.said, place.warned, place.made = folder, said, warned, made
    place.while_running = lambda job: None
    monkeypatch.setattr(trainer, "make_run", make_run)
    monkeypatch.setattr(trainer, "PAUSE", 0.0)
    monkeypatch.setattr(spreading, "SEEN_WITHIN", 0.0)
    monkeypatch.chdir(tmp_path)
    yield place
    torch.set_num_threads(threads)


def test_each_run_is_made_once_and_told(place):
    ray = FakeRay()
    found = place(ray)
    assert sorted(map(str, found)) == sorted(map(str, JOBS))
    assert len(place.made) == len(JOBS)
    assert place.said == ["cluster local: 2 runs at once, each with 1 thread"]
    assert sorted(place.warned) == sorted(
        f"{arm.name}, seed 2: learns little; train longer" for arm in ARMS
    )
    assert not [path for path in place.folder.iterdir() if path.name != "runs"]


def test_runs_that_are_finished_need_no_cluster(place):
    place(FakeRay(), JOBS[:2])
    assert place(None, JOBS[:2]) == JOBS[:2]
    assert place(FakeRay(), JOBS[:3]) == JOBS[:3]
    assert len(place.made) == 3


@pytest.mark.parametrize("how", ["killed", "asked to stop"])
def test_a_run_whose_worker_ends_is_made_by_another(place, how):
    ends = iter([False, True, False, True])

    def end(job):
        if next(ends, False):
            raise Interrupted(signal.SIGTERM, 3, Path("x"))

    place.while_running = end if how == "asked to stop" else place.while_running
    deaths = iter([False, True, False, True])
    killed = FakeRay(lambda ask, *_: ask == "run" and next(deaths, False))
    found = place(FakeRay() if how == "asked to stop" else killed)
    assert sorted(map(str, found)) == sorted(map(str, JOBS))
    ended = [line for line in place.warned if line.startswith("cluster: a worker ended")]
    assert len(ended) == 2, place.warned


def test_what_a_run_refuses_ends_all_and_names_it(place):
    def refuse(job):
        if job.seed == 1:
            raise InputError("batch_size=1: is too small; take 2")

    place.while_running = refuse
    with pytest.raises(InputError, match=r"none, seed 1: batch_size=1: is too small; take 2"):
        place(FakeRay())
    assert place.said[-1] == "runs save their state ..."


def test_progress_is_that_of_all_runs():
    class Watcher(Nobody):
        def step(self, progress, step, loss, elapsed):
            shown.append((progress, step, loss))

    shown = []
    notes = FakeRay().remote(trainer.Notes).options().remote()
    for told in (("a", 1.0, 10, 4.0), ("b", 0.5, 5, 2.0), ("c", 0.25, 2, 1.0)):
        notes.tell.remote(*told).run()
    look = spreading._Looking(notes, Watcher(), 4)
    look.finished("a")
    look()
    look()
    assert shown == [(1.75 / 4, 17, 1.5)]
    notes.told.remote().hand.dead = True
    for _ in range(3):  # without notes the runs go on
        look()
    assert len(shown) <= 2


def test_a_run_is_stopped_as_by_ctrl_c_where_that_is_wished(monkeypatch):
    monkeypatch.setattr(trainer, "PAUSE", 0.0)
    got = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        notes = FakeRay().remote(trainer.Notes).options().remote()
        telling = trainer.Telling(notes, "a")
        telling.step(0.1, 1, 2.0, 0.5)
        telling.step(0.2, 2, 1.0, 0.6)
        assert notes.told.remote().run() == {"a": (0.2, 2, 1.0)}
        assert not got
        notes.stop.remote().run()
        telling.busy("evaluating", 1, 3)
        telling.busy("evaluating", 2, 3)
        assert got == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_folder_that_a_machine_does_not_see_is_told(place, tmp_path):
    setup = trainer.Setup(place.folder, CompareSettings(), tmp_path, {tmp_path / "a": 0}, 1, None)
    with pytest.raises(InputError, match=r"not the same file on the machine .*inputs and runs"):
        trainer.Trainer().load(setup)


def test_a_folder_of_the_same_name_elsewhere_is_told(place, monkeypatch):
    monkeypatch.setattr(trainer, "make_run", lambda *_: None)  # writes into another folder
    with pytest.raises(InputError, match=r"what a worker wrote there is not seen here; "):
        place(FakeRay())


def test_what_started_ray_does_not_make_runs_of_several_processes(place, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("WORLD_SIZE", "2")
    setup = trainer.Setup(place.folder, CompareSettings(), tmp_path / "gone", {}, 1, None)
    assert trainer.Trainer().load(setup)["host"]
    assert "SLURM_STEP_NUM_TASKS" not in os.environ
    assert "WORLD_SIZE" not in os.environ


def test_a_run_that_another_process_still_has_is_waited_for(place, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "LEFT_WITHIN", 0.0)
    monkeypatch.setattr("pixelwise.outputs.locked", lambda file: False)
    job = JOBS[0]
    run = job.folder(place.folder)
    run.mkdir(parents=True)
    (run / ".pixelwise.lock").write_text("17\n")
    worker = trainer.Trainer()
    worker.load(trainer.Setup(place.folder, CompareSettings(), tmp_path, {}, 1, None))
    with pytest.raises(InputError, match="process 17 is at work on this run; wait until it ends"):
        worker.run(job)


def test_a_folder_is_waited_for(tmp_path, monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr("pixelwise.outputs.locked", lambda file: next(answers))
    monkeypatch.setattr("pixelwise.outputs.LOOKED", 0.0)
    with alone(tmp_path, 60.0):
        assert next(answers, "all asked") == "all asked"


def test_where_a_comparison_goes_on_is_said_anew(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="clusters need Ray")
    asked = CompareSettings(data="scenes", cluster="auto", at_once=2, gpu_share=0.5, steps=7)
    (tmp_path / ASKED).write_text(to_text(as_plain(asked)))
    found = []
    monkeypatch.setattr("pixelwise.cli.compare._compare", lambda *about: found.append(about) or 0)
    for words in ([], ["--cluster", "local", "--at-once", "3"]):
        assert main(["compare", "--resume", str(tmp_path), *words]) == 0
    here, there = (settings for settings, _, _ in found)
    assert (here.steps, here.cluster, here.at_once, here.gpu_share) == (7, None, None, 1.0)
    assert (there.steps, there.cluster, there.at_once) == (7, "local", 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at-once", "2"], "at_once=2: is for a cluster; "),
        (["--cluster", "local", "--at-once", "0"], "at_once=0: must be"),
        (["--cluster", "local", "--gpu-share", "2"], "gpu_share=2"),
        (["--cluster", "10.0.0.1"], "must be local, auto or ray://host:port"),
    ],
)
def test_options_that_cannot_be_are_told(words, said, capsys):
    pytest.importorskip("ray", reason="clusters need Ray")
    assert main(["compare", "--data", "scenes", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
