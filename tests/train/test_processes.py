"""Runs of two processes on one machine (gloo), started as torchrun does."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
TRAIN = (
    "train", "--data", "scenes:size=64,train=10,val=3,test=1", "--model", "fcn",
    "--backbone", "test_resnet", "--crop", "32", "--batch-size", "4", "--device", "cpu",
    "--attention", "psa_s", "--checkpoint-every", "0", "--validations", "2",
)  # fmt: skip
WAIT = 300


@pytest.fixture
def start(tmp_path):
    """A function that starts the processes of a command; they are gone after the test."""
    started = []

    def begin(*words, count=2, **changed):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        found = []
        for rank in range(count):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count}
            place |= {"LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = os.environ | {name: str(value) for name, value in place.items()}
            process = subprocess.Popen(
                [sys.executable, "-m", "pixelwise", *changed.get(f"rank{rank}", words)],
                cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True,
            )  # fmt: skip
            found.append(process)
        started.extend(found)
        return found

    yield begin
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()


def ended(processes):
    """Exit codes, and all that was written to standard error but warnings."""
    told = [process.communicate(timeout=WAIT)[1] for process in processes]
    lines = [line for text in told for line in text.splitlines() if line.startswith("error:")]
    return [process.returncode for process in processes], lines, told


def weights(run):
    newest = max((run / "checkpoints").glob("*.pt"))
    return torch.load(newest, weights_only=True)["model"]


@pytest.mark.slow
def test_two_processes_are_equal_to_one(tmp_path):
    table = tmp_path / "table.csv"
    command = [sys.executable, str(ROOT / "studies" / "processes.py"), "--out", str(table)]
    subprocess.run([*command, "--steps", "3"], check=True, timeout=4 * WAIT)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {(row["processes"], row["strategy"]) for row in rows} >= {("2", "ddp"), ("2", "fsdp")}
    for row in rows:
        assert row["evaluation"] == "equal", row
        assert float(row["largest_difference"]) < 1e-4, row
        assert float(row["largest_change_by_training"]) > 1e-2, row


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_run_goes_on_to_the_same_weights_and_in_another_number(start, tmp_path, strategy):
    more = ("--steps", "5", "--strategy", strategy)
    whole = start(*TRAIN, *more, "--name", "whole")
    assert ended(whole)[0] == [0, 0]
    run, cut = tmp_path / "runs/train/whole", tmp_path / "runs/train/cut"
    rows = list(csv.DictReader((run / "steps.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == list("12345")

    stopped = start(*TRAIN, *more, "--name", "cut")
    while not list(cut.glob("checkpoints/step_*1.pt")):
        time.sleep(0.05)
    stopped[1].send_signal(signal.SIGTERM)  # to one of them alone
    codes, lines, _ = ended(stopped)
    assert codes == [143, 143], lines
    kept = weights(cut)
    words = ("train", "--resume", str(cut))
    assert ended(start(*words))[0] == [0, 0]
    assert kept.keys() == weights(run).keys()
    for name, value in weights(run).items():
        assert torch.equal(value, weights(cut)[name]), name
    assert (cut / "validation.csv").read_text() == (run / "validation.csv").read_text()

    newest = max((run / "checkpoints").glob("*.pt"))
    newest.unlink()
    (run / "metrics.json").unlink()
    alone = subprocess.run(
        [sys.executable, "-m", "pixelwise", "train", "--resume", str(run)],
        capture_output=True, text=True, cwd=tmp_path, timeout=WAIT,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    rows = list(csv.DictReader((run / "steps.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == list("12345")


@pytest.mark.slow
def test_an_error_of_one_process_ends_both_with_one_line(start, tmp_path):
    wrong = ("train", "--data", str(tmp_path / "nothing"))
    for processes in (start(*wrong), start(rank0=(*TRAIN, "--steps", "3"), rank1=wrong)):
        codes, lines, told = ended(processes)
        assert codes == [2, 2], told
        assert len(lines) == 1, told
        assert "nothing" in lines[0]


@pytest.mark.slow
def test_a_killed_process_ends_the_other_with_one_line(start, tmp_path):
    processes = start(*TRAIN, "--steps", "100000", "--name", "long")
    while not list((tmp_path / "runs/train/long").glob("checkpoints/step_*3.pt")):
        time.sleep(0.05)
    processes[0].kill()
    codes, lines, told = ended(processes)
    assert codes[0] == -signal.SIGKILL
    assert codes[1] not in (0, None)
    assert len(lines) == 1, told
    assert "a process of the run died" in lines[0]
