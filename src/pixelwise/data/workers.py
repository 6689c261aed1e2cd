"""Processes that load pictures."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info


def quiet_worker(_: int) -> None:
    """Leave signals to the main process, and end when it does.

    Terminals and schedulers send them to the whole group of processes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def ending_workers() -> Iterator[None]:
    """Kill the processes that were begun inside where the block ends by an error.

    They ignore SIGTERM, so that Python, which waits for them at its exit, would not end.
    """
    before = multiprocessing.active_children()
    try:
        yield
    except BaseException:
        handler = signal.getsignal(signal.SIGCHLD)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's own raises for each that is killed
        for child in multiprocessing.active_children():
            if child not in before:
                child.kill()
                child.join()
        signal.signal(signal.SIGCHLD, handler)
        raise


def begun(loader: DataLoader[Any]) -> Iterator[Any]:
    """A loader's iterator; Ctrl-C and SIGTERM wait until it is made.

    Half of one cannot be ended, and a process that is just begun would die of SIGTERM before
    `quiet_worker` is called in it. Forked ones keep both blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return iter(loader)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def in_shared_memory(sample: Any) -> Any:
    """A sample as a process hands it over: where there is no room for it, that raises here.

    Torch would find out in a thread of the process, and whoever waits for the sample would not.
    """
    if get_worker_info() is not None:
        for part in sample:
            if isinstance(part, Tensor):
                part.untyped_storage().share_memory_()
    return sample


def worker_died(error: BaseException) -> bool:
    """Whether an error says that a process that loads pictures was killed, or had no room."""
    text = str(error)
    return "DataLoader worker" in text and (
        "killed" in text or "exited" in text or "No space left" in text or "shared memory" in text
    )
