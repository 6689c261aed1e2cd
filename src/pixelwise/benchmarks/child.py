"""What one process measures, and nothing beside it: times of all forms in turns, memory of one."""

import contextlib
import ctypes
import gc
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pixelwise.benchmarks.processes import told
from pixelwise.benchmarks.settings import AUTHORS, PLAIN
from pixelwise.benchmarks.work import Call, Work, difference, prepare
from pixelwise.ops.running import taken as forms_taken
from pixelwise.ops.running.taken import Forms

M_MMAP_THRESHOLD = -3
"""glibc's number for the size from which memory is given back when it is freed."""
PRODUCT = 2048
SAME = 1e-8
"""Above this relative difference a layer from outside has a plain form that is not its own."""


@dataclass
class Taken:
    """What one form took."""

    milliseconds: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    """Above what was in use before; on the CPU another process finds it."""
    problem: str = ""
    forms: Forms = field(default_factory=dict)
    """Of the operations, in the first call."""

    @property
    def median(self) -> float | None:
        """Of the times, in milliseconds."""
        return statistics.median(self.milliseconds) if self.milliseconds else None


def timed(work: Work) -> dict[str, Taken]:
    """Times of the forms that there are, which take turns after a first call each."""
    subject = prepare(work)
    found = {form: Taken() for form in work.forms}
    calls: dict[str, Call] = {}
    for form, taken in found.items():
        try:
            call = subject.call(form)
            if call is not None:
                forms_taken.forget()
                call()
                taken.forms = forms_taken.forms()
                calls[form] = call
        except Exception as error:  # other packages raise what they like; the others go on
            taken.problem = told(error)
    found = {form: taken for form, taken in found.items() if form in calls or taken.problem}
    watch = _on_cuda if work.device.startswith("cuda") else _on_cpu
    least, stop = work.repeats, time.perf_counter() + work.seconds
    while calls and (least > 0 or time.perf_counter() < stop):
        for form, call in calls.items():
            found[form].milliseconds.append(watch(call))
        least -= 1
    if work.device.startswith("cuda"):
        for form, call in calls.items():
            found[form].peak_mb = _allocated(call)
    for form in (PLAIN, AUTHORS):
        if form in calls and (apart := difference(subject, form)) > SAME:
            found[form] = Taken(problem=f"{form} gives other numbers (differs by {apart:.0e})")
    return found


def peak(work: Work, form: str) -> float | None:
    """Megabytes in use at most in one call of one form above those before it; None on Windows."""
    _settle()
    for sized in (work.small(), work):
        call = prepare(sized).call(form)
        assert call is not None  # it was timed
        _forget()
        before = _resident()
        call()
        after = _resident()
    return None if before is None or after is None else after - before


def _settle() -> None:
    """Let libraries make their buffers, and let freed memory leave the process at once.

    Else the peak is also what glibc keeps for later, which depends on everything before.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library without it
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
    torch.mm(*(torch.ones(PRODUCT, PRODUCT) for _ in range(2)))


def _forget() -> None:
    """Give back what is free, and let Linux forget the peak of the preparation."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library without it
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def _on_cpu(call: Call) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _on_cuda(call: Call) -> float:
    event: Any = torch.cuda.Event
    start, end = (event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def _allocated(call: Call) -> float:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _resident() -> float | None:
    """Megabytes that this process had in memory at most so far."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
