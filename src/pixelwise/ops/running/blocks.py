"""How much of a map to work on at once: the one rule that all lean forms share.

On a CPU a block that stays in the cache saves the trip to memory, and the fresh pages, of every
intermediate. But each block starts parallel passes of its own, at whose ends the threads wait for
each other, for milliseconds where other programs want the cores: blocks of a quarter of the size
save a tenth of the time on an idle machine and cost several times the whole on a busy one.
On other devices each block costs launches, so there a block is as large as it can be.
"""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError

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


def spans(
    total: int, row: int, budget: int, device: torch.device, at_most: int | None = None
) -> Iterator[slice]:
    """Cut `total` rows of `row` elements into runs of at most `budget` elements, or one row.

    On other devices than a CPU the budget is DEVICE_BLOCK; `at_most` bounds either.
    """
    limit = budget if cached(device) else DEVICE_BLOCK
    limit = limit if at_most is None else min(limit, at_most)
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


def plane_blocks(x: Float[Tensor, "b c h w"]) -> Iterator[tuple[slice, slice]]:
    """Blocks (image, channels) of a map; all channels of an image where those come last."""
    _, channels, height, width = x.shape
    channel_last = x.stride(1) < x.stride(3)
    for image in images(x):
        if channel_last:  # a run of channels would be scattered over memory
            yield image, slice(None)
        else:
            for run in spans(channels, height * width, PASS_BLOCK, x.device):
                yield image, run


def elements(max_bytes: int | None, kind: torch.dtype, copies: int, least: int) -> int | None:
    """Elements of a block of which `copies` exist at a time and together take `max_bytes`.

    Raises:
        InputError: That is less than `least`, the smallest block there is.
    """
    if max_bytes is None:
        return None
    found = max_bytes // (copies * kind.itemsize)
    if found < least:
        needed = least * copies * kind.itemsize
        raise InputError(
            f"max_memory={max_bytes}: the weights of one row of pairs take {needed} bytes here; "
            f"raise max_memory to that, or make the map smaller"
        )
    return found


Result = TypeVar("Result")
SMALLER = 16
"""By how much blocks shrink where the memory does not suffice."""


def sparing(run: Callable[[int | None], Result], at_most: int | None = None) -> Result:
    """`run(at_most)`; where the memory does not suffice in inference, once more, in smaller blocks.

    `run` takes the most elements that a block of its may have. With gradients there is no second
    try: backward would need as much again.
    """
    try:
        return run(at_most)
    except RuntimeError as error:
        if torch.is_grad_enabled() or not _out_of_memory(error):
            raise
        told = str(error).splitlines()[0]
    smaller = (at_most or DEVICE_BLOCK) // SMALLER
    if told not in _told:
        _told.add(told)
        _log.warning("out of memory (%s): going on in blocks of %d elements", told, smaller)
    return run(smaller)


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


_log = logging.getLogger(__name__)
_told: set[str] = set()
