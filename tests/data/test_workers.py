import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from pixelwise.data.workers import begun, ending_workers, quiet_worker
from pixelwise.train.feeding import loader_died
from pixelwise.train.interrupt import Interrupted, Stopped, StopSignals

LOST = RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")


class Numbers(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor(index)


def slow_to_begin(worker):
    time.sleep(0.5)
    quiet_worker(worker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_just_begun_outlives_a_signal(number):
    with ending_workers():
        loader = DataLoader(
            Numbers(),
            num_workers=2,
            worker_init_fn=slow_to_begin,
            multiprocessing_context="fork",
        )
        batches = begun(loader)
        for worker in batches._workers:
            os.kill(worker.pid, number)
        assert [int(batch) for batch in batches] == list(range(8))


def test_a_loader_that_a_signal_to_all_processes_killed_ends_the_run_as_the_signal_does():
    with StopSignals() as signals:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        with pytest.raises(Interrupted, match="SIGTERM") as ended:
            loader_died(LOST, signals, 4, Path("run"))
        timer.join()
    assert (ended.value.exit_code, ended.value.step) == (143, 4)


def test_a_loader_that_died_alone_stops_the_run_in_words():
    with StopSignals() as signals, pytest.raises(Stopped, match="killed at step 5"):
        loader_died(LOST, signals, 4, Path("run"))
    with StopSignals() as signals, pytest.raises(RuntimeError, match="other"):
        loader_died(RuntimeError("other"), signals, 4, Path("run"))
