"""Starting kernels, and what all of them are cut by.

A tile of TILE by TILE numbers is one program of four warps, 32 numbers a thread. What a program
sums over its own part of a map goes to a row of its own, and torch adds the rows: the order of the
sum is fixed, so that results are the same in every run. Sizes of blocks here and in the kernels
are reckoned for the registers and the shared memory of a Hopper GPU, and not yet measured on one.
"""

import functools
from contextlib import nullcontext
from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.kernels import interpreted

TILE = 64
"""Channels and pixels of a program that goes through a map once."""


def launch(kernel: Any, grid: tuple[int, ...], *given: Any, **constants: Any) -> None:
    """Run `kernel` once per place of `grid`, on the device of the first tensor given.

    Triton refuses constants that the kernel does not name.
    """
    if 0 in grid:
        return
    with torch.cuda.device(given[0].device) if given[0].is_cuda else nullcontext():
        # Asked for by name, since Triton 3.9 warns where it is left to the default.
        kernel[grid](*given, enable_fp_fusion=True, **constants)


def parts(total: int, block: int = TILE) -> int:
    """How many blocks cover `total`."""
    return -(-total // block)


def padded(size: int, most: int) -> int:
    """A block for `size` numbers: a power of two from 16, the least of a product, to `most`."""
    return min(most, max(16, 1 << (size - 1).bit_length()))


def multiplied(*maps: Tensor) -> Any:
    """The type in which `maps` go into matrix products; sums are taken in float32.

    Triton's interpreter does not multiply bfloat16.
    """
    kind = functools.reduce(torch.promote_types, (z.dtype for z in maps))
    if kind == torch.bfloat16 and interpreted():
        kind = torch.float32
    return getattr(tl, str(kind).removeprefix("torch."))


@triton.jit
@no_type_check
def places(axis: tl.constexpr, block: tl.constexpr, total):
    """Places of this program along an axis of the grid, and which of them there are.

    In 64 bits: a place times a stride passes 2^31 on large maps.
    """
    place = tl.program_id(axis).to(tl.int64) * block + tl.arange(0, block)
    return place, place < total


@triton.jit
@no_type_check
def span(start, block: tl.constexpr, total):
    """`block` places from `start`, and which of them there are."""
    place = start + tl.arange(0, block).to(tl.int64)
    return place, place < total
