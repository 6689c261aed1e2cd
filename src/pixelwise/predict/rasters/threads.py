"""Work that is done while something else is."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
WAITING = 3
"""Things that wait between two threads, at most."""
_END = object()


@contextmanager
def ahead(things: Iterable[T]) -> Iterator[Iterator[T]]:
    """The things, made by another thread a few at a time before they are asked for."""
    ready: queue.Queue[Any] = queue.Queue(WAITING)
    stopped = threading.Event()

    def put(found: Any) -> bool:
        while not stopped.is_set():
            try:
                ready.put(found, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for thing in things:
                if not put((thing, None)):
                    return
            put((_END, None))
        except BaseException as error:
            put((_END, error))

    def given() -> Iterator[T]:
        while True:
            thing, error = ready.get()
            if error is not None:
                raise error
            if thing is _END:
                return
            yield thing

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        yield given()
    finally:
        stopped.set()
        thread.join()


@contextmanager
def behind(work: Callable[[T], None]) -> Iterator[Callable[[T], None]]:
    """Hands things to `work` in another thread, in order; what that raises is raised here.

    When the block ends, all is done; where it ends by an error, what waits is dropped.
    """
    waiting: queue.Queue[Any] = queue.Queue(WAITING)
    failed: list[BaseException] = []
    dropped = threading.Event()

    def run() -> None:
        while (thing := waiting.get()) is not _END:
            if failed or dropped.is_set():
                continue
            try:
                work(thing)
            except BaseException as error:
                failed.append(error)

    def give(thing: T) -> None:
        if failed:
            raise failed[0]
        waiting.put(thing)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield give
    except BaseException:
        dropped.set()
        raise
    finally:
        waiting.put(_END)
        thread.join()
    if failed:
        raise failed[0]
