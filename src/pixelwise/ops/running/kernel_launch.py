"""Starting kernels, and what all of them are cut by.

A tile of TILE by TILE numbers is one program of four warps. What a program sums over its own part
of a map goes to a row of its own, and the rows are added in a fixed order, so that results are the
same in every run. Sizes of blocks here and in the kernels are reckoned for the
registers and the shared memory of a Hopper GPU, and not yet measured on one.
"""

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.runtime import driver

from pixelwise.ops.running.kernels import interpreted

TILE = 64
"""Channels and pixels of a program that goes through a map once."""


def launch(kernel: Any, grid: tuple[int, int, int], *given: Any, **constants: Any) -> None:
    """Run `kernel` once per place of `grid`, on the device of the first tensor given.

    The card has all places on one axis, since its others take 65,535 at most; `program` finds the
    three again. Triton refuses constants that the kernel does not name.
    """
    wide, high, deep = grid
    if 0 in grid:
        return
    with _on_device_of(given[0]):
        # Asked for by name, since Triton 3.9 warns where it is left to the default.
        folded = kernel[wide * high * deep,]
        folded(*given, wide=wide, high=high, enable_fp_fusion=True, **constants)


def built(*once_for_all: str) -> Any:
    """`triton.jit` with one build for all grids, and for all values of the numbers named.

    Of each other number there are builds for 1, for multiples of 16, and for the rest: so Triton
    knows what lies side by side, and reads 16 bytes at a time. For numbers that decide nothing of
    the kind, such as the images of a batch, these builds would be seconds lost at each new size.
    """
    return triton.jit(do_not_specialize=["wide", "high", *once_for_all])


def _on_device_of(x: Tensor) -> AbstractContextManager[object]:
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def architecture(x: Tensor) -> Any:
    """Of NVIDIA's cards a number, e.g. 90; of AMD's a name; none where kernels are interpreted."""
    if interpreted():
        return None
    with _on_device_of(x):
        return driver.active.get_current_target().arch


def warps(threads: int, x: Tensor) -> int:
    """How many warps these are: of 32 threads on NVIDIA's cards, of 64 on AMD's large ones."""
    if interpreted():
        return threads // 32
    with _on_device_of(x):
        return threads // int(driver.active.get_current_target().warp_size)


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
def program(wide, high):
    """The place of this program in its grid; on the last axis, of images, in 64 bits."""
    index = tl.program_id(0)
    line = index // wide
    return index % wide, line % high, (line // high).to(tl.int64)


@triton.jit
@no_type_check
def places(part, block: tl.constexpr, total):
    """What the `part`-th program along an axis works on, and which of it there is.

    In 64 bits: a place times a stride passes 2^31 on large maps.
    """
    place = part.to(tl.int64) * block + tl.arange(0, block)
    return place, place < total


@triton.jit
@no_type_check
def span(start, block: tl.constexpr, total):
    """`block` places from `start`, and which of them there are."""
    place = start + tl.arange(0, block).to(tl.int64)
    return place, place < total
