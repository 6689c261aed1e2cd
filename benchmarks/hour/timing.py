"""How long a call takes, on the card and on the host, with a cold cache.

Between two calls a buffer larger than the card's second cache is filled. Without a card the clock
of the host tells both.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

LEAST = 256 * 2**20
"""Bytes of the buffer; twice the cache where that is more."""


class Times(NamedTuple):
    """Microseconds."""

    median: float
    least: float
    host: float
    """Until the call returns: what starting its kernels costs."""
    calls: int


def measure(
    call: Callable[[], object], device: str, seconds: float, cold: bool = True, most: int = 30
) -> Times:
    """The times of `call`, which has run before; three calls at least."""
    if device != "cuda":
        return _on_the_host(call, seconds, most)
    cache = torch.cuda.get_device_properties(device).L2_cache_size
    buffer = torch.empty(max(LEAST, 2 * cache) if cold else 0, dtype=torch.uint8, device=device)
    marks, host = [], []
    torch.cuda.synchronize()
    begun = time.perf_counter()
    while len(marks) < 3 or (time.perf_counter() - begun < seconds and len(marks) < most):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        buffer.zero_()
        begin.record()
        start = time.perf_counter()
        call()
        host.append(time.perf_counter() - start)
        end.record()
        end.synchronize()
        marks.append(begin.elapsed_time(end) * 1e3)
    return Times(statistics.median(marks), min(marks), statistics.median(host) * 1e6, len(marks))


def _on_the_host(call: Callable[[], object], seconds: float, most: int) -> Times:
    found: list[float] = []
    while len(found) < 1 or (sum(found) < seconds and len(found) < most):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    middle = statistics.median(found) * 1e6
    return Times(middle, min(found) * 1e6, middle, len(found))
