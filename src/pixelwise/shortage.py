"""Too little memory: how it shows, and the one line that it becomes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pixelwise.errors import InputError

SIGNS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "Unable to allocate",
    "ALLOC_FAILED",
    "Cannot allocate memory",
    "Storage size calculation overflowed",
    "integer multiplication overflow",
    "invalid argument to mmap",
)
"""What allocators of PyTorch, CUDA, numpy and the system say."""
GIB = 2**30
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much a container may have."""


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice; those of loader processes too.

    Not in it: shared memory (/dev/shm), for which fewer loader processes are the remedy.
    """
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError | OSError):
        return False
    text = str(error).lower()
    return "shared memory" not in text and any(sign.lower() in text for sign in SIGNS)


@contextmanager
def told_as_input(
    remedy: str, need: Callable[[], int | None] = lambda: None, kept: Callable[[], str] = str
) -> Iterator[None]:
    """Turn an error that says so into an InputError.

    Args:
        remedy: What to lower.
        need: Gives the bytes that would be needed, or None where that is not known.
        kept: Gives what follows the remedy where something is saved, or nothing.
    """
    try:
        yield
    except Exception as error:
        if not is_shortage(error):
            raise
        raise InputError(f"memory: did not suffice{_needed(need)}; {remedy}{kept()}") from error


def memory_here() -> int | None:
    """Bytes that this machine, or the container that this runs in, has in all; None if unknown."""
    found = []
    for file in LIMITS:
        with suppress(OSError, ValueError):  # no such file, or the word "max"
            found.append(int(Path(file).read_text(encoding="ascii")))
    with suppress(OSError, ValueError, AttributeError):  # not on Windows
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _needed(need: Callable[[], int | None]) -> str:
    try:
        size = need()
    except Exception:  # the estimate must not hide what happened
        return ""
    return "" if size is None else f" (some {size / GIB:.2g} GiB beyond weights and input needed)"
