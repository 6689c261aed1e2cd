"""Facts about each picture of a split, in its order: read here, or by processes where many are.

Where tensors are small, PyTorch's threads wait for each other longer than they work, and spin while
they do: with another process on the core, ten times as long. So one thread reads.
"""

import multiprocessing
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch.utils.data import DataLoader, Dataset

from pixelwise.data.workers import begun, ending_workers, quiet_worker, worker_died
from pixelwise.errors import InputError

FEW = {"fork": 100}
"""Below, processes take longer to start than they save."""
FEW_ANEW = 2000
"""The same where each has to import everything anew, as on Windows and macOS."""

F = TypeVar("F")


@runtime_checkable
class Readable(Protocol):
    """What splits have that matters here."""

    @property
    def apart(self) -> bool:
        """Whether each picture is read without regard to the others."""

    def __len__(self) -> int: ...


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def each(
    split: Readable, facts: Callable[[Any, int], F], workers: int = 0
) -> Generator[F, None, None]:
    """`facts(split, i)` of every i, in order. Close it where it is not read to its end.

    Args:
        split: The pictures.
        facts: Reads picture i and says what matters.
        workers: Processes that read where there are many pictures, each of which is read apart
            from the others; 0: this one.

    Raises:
        InputError: What `facts` raises, where its turn is; a process that reads was killed.
    """
    with one_thread():
        if not workers or not split.apart or len(split) < enough():
            for i in range(len(split)):
                yield facts(split, i)
            return
        try:
            with ending_workers():
                for one in begun(_loader(split, facts, workers)):
                    if isinstance(one, InputError):
                        raise one
                    yield one
        except RuntimeError as error:
            if not worker_died(error):
                raise
            raise InputError(
                f"workers={workers}: a process that reads pictures was killed, perhaps for lack of"
                " memory; take fewer"
            ) from error


def enough() -> int:
    """So many pictures are worth processes on this system."""
    return FEW.get(multiprocessing.get_context().get_start_method(), FEW_ANEW)


class _Facts(Dataset[Any]):
    """Item i: the facts of picture i, or why it is refused."""

    def __init__(self, split: Readable, facts: Callable[[Any, int], Any]) -> None:
        self.split, self.facts = split, facts

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.facts(self.split, index)
        except InputError as error:  # as it is: torch would put a traceback before its message
            return error


def _loader(split: Readable, facts: Callable[[Any, int], Any], workers: int) -> DataLoader[Any]:
    return DataLoader(
        _Facts(split, facts),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=quiet_worker,
    )


def _as_it_is(facts: Any) -> Any:
    return facts
