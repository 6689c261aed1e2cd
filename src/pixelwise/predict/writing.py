"""Results are written by another thread while the network is at the next picture."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
WAITING = 2
"""So many results wait at most, one of which is being written."""
MOST = 2**24
"""Pixels that they have together at most; a larger picture is written before the next is read."""


@dataclass(frozen=True)
class Writing(Generic[T]):
    """A result, and what writes it.

    Args:
        result: What is told when it is written.
        write: Writes it.
        pixels: How large it is.
    """

    result: T
    write: Callable[[], None]
    pixels: int = 0


def written(found: Iterator[Writing[T]]) -> Iterator[T]:
    """The results in their order, each once it is written.

    One thread writes, so that nothing of what is called has to be made for several. It speaks the
    language of whoever asks. What `found` raises is raised after the results before it; what
    writing raises, in the place of its result. At an interruption the file at hand is finished, and
    what waits is dropped.
    """
    waiting: deque[tuple[Writing[T], Future[None]]] = deque()
    failed: Exception | None = None
    writer = ThreadPoolExecutor(1, thread_name_prefix="pixelwise-writer")
    try:
        while failed is None:
            try:
                one = next(found)
            except StopIteration:
                break
            except Exception as error:
                failed = error
                break
            waiting.append((one, writer.submit(copy_context().run, one.write)))
            while waiting and _due(waiting):
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    finally:
        writer.shutdown(wait=True, cancel_futures=True)
    if failed is not None:
        raise failed


def _due(waiting: deque[tuple[Writing[T], Future[None]]]) -> bool:
    """Whether the first one is written, or has to be before anything else is done."""
    many = len(waiting) > WAITING or sum(one.pixels for one, _ in waiting) > MOST
    return many or waiting[0][1].done()


def _next(waiting: deque[tuple[Writing[T], Future[None]]]) -> T:
    one, future = waiting.popleft()
    future.result()
    return one.result
