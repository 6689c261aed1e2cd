"""How much of a map to work on at once: the one rule that all lean forms share.

On a CPU a block that stays in the cache saves the trip to memory, and the fresh pages, of every
intermediate. But each block starts parallel passes of its own, at whose ends the threads wait for
each other, for milliseconds where other programs want the cores: blocks of a quarter of the size
save a tenth of the time on an idle machine and cost several times the whole on a busy one.
On other devices each block costs launches, so there a block is as large as it can be.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

PASS_BLOCK = 1 << 20
"""Elements of a block of an element-wise pass on a CPU (4 MB of float32)."""
PRODUCT_BLOCK = 1 << 21
"""Elements of a block that a matrix product writes on a CPU (8 MB of float32)."""
DEVICE_BLOCK = 1 << 28
"""Elements of a block elsewhere (1 GB of float32): bounds memory, not time."""

Block = tuple[slice, slice, slice]


def cached(device: torch.device) -> bool:
    """Whether blocks are to fit the cache of `device`, one image at a time."""
    return device.type == "cpu"


def spans(total: int, row: int, budget: int, device: torch.device) -> Iterator[slice]:
    """Cut `total` rows of `row` elements into runs of at most `budget` elements, or one row."""
    limit = budget if cached(device) else DEVICE_BLOCK
    length = max(1, min(total, limit // max(1, row)))
    for start in range(0, total, length):
        yield slice(start, min(total, start + length))


def images(x: Tensor) -> Iterator[slice]:
    """One image at a time where blocks are to fit a cache, else the whole batch."""
    count = x.shape[0]
    step = 1 if cached(x.device) else max(1, count)
    return (slice(start, start + step) for start in range(0, count, step))


def map_blocks(x: Tensor) -> Iterator[Block]:
    """Blocks (image, channels, pixels) of a (b, c, n) map, each contiguous in memory if `x` is."""
    _, channels, pixels = x.shape
    if not cached(x.device):
        yield slice(None), slice(None), slice(None)
        return
    for image in images(x):
        if x.stride(1) >= x.stride(2):
            for rows in spans(channels, pixels, PASS_BLOCK, x.device):
                yield image, rows, slice(None)
        else:
            for columns in spans(pixels, channels, PASS_BLOCK, x.device):
                yield image, slice(None), columns
