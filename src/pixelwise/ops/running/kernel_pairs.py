"""Products of all pixels of one map with all of another, block by block: what kernels share."""

from typing import Any, NamedTuple, no_type_check

import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.kernel_launch import multiplied, padded, parts, span, warps


class Blocks(NamedTuple):
    """How a program cuts the pairs of pixels."""

    own: int
    """Pixels that a program keeps."""
    other: int
    """Pixels that it takes at a time."""
    depth: int
    """Channels of both that it takes at a time."""
    width: int
    """Channels at most that it writes."""
    threads: int


HALF = Blocks(own=64, other=64, depth=64, width=256, threads=256)
"""For tensor cores: a sum of 64 x 256 is 64 registers a thread."""
SINGLE = Blocks(own=32, other=32, depth=16, width=128, threads=128)
"""For float32, whose products keep their operands in registers: twice as many pixels of its own
are more than a program for NVIDIA's cards can keep there. Triton takes no depth below 16."""


@triton.jit
@no_type_check
def pixels(z, z_c, z_n, rows, inside, c, block: tl.constexpr, first=0):
    """Some pixels of a map, one a row, with `block` channels from the first."""
    channels, in_c = span(first, block, c)
    at = z + rows[:, None] * z_n + channels[None] * z_c
    return tl.load(at, mask=inside[:, None] & in_c[None], other=0)


@triton.jit
@no_type_check
def products(
    x, x_c, x_n, rows, in_n, y, y_c, y_m, columns, in_m, c,
    kind: tl.constexpr, own: tl.constexpr, other: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    """`x_n . y_m` for all pairs of some pixels of x and some of y; these in 64 bits."""
    found = tl.zeros((own, other), tl.float32)
    for start in range(0, c, depth):
        channels, in_c = span(start, depth, c)
        at = x + rows[:, None] * x_n + channels[None] * x_c
        one = tl.load(at, mask=in_n[:, None] & in_c[None], other=0).to(kind)
        at = y + channels[:, None] * y_c + columns[None] * y_m
        two = tl.load(at, mask=in_c[:, None] & in_m[None], other=0).to(kind)
        found = tl.dot(one, two, found, input_precision="ieee")
    return found


@triton.jit
@no_type_check
def beside(numbers, rows, in_n, columns, in_m, of_rows: tl.constexpr):
    """One number for each of the rows, or of the columns, of a block of pairs."""
    if of_rows:
        return tl.load(numbers + rows, mask=in_n, other=0)[:, None]
    else:
        return tl.load(numbers + columns, mask=in_m, other=0)[None]


def cut(
    images: int, pixels: int, channels: int, *maps: Tensor
) -> tuple[tuple[int, int, int], dict[str, Any]]:
    """The grid over (pixels, channels, images) of what is written, and the blocks of a program."""
    kind = multiplied(*maps)
    blocks = SINGLE if kind == tl.float32 else HALF
    width = padded(channels, blocks.width)
    grid = (parts(pixels, blocks.own), parts(channels, width), images)
    constants = {"kind": kind, "own": blocks.own, "other": blocks.other, "depth": blocks.depth}
    return grid, {**constants, "width": width, "num_warps": warps(blocks.threads, maps[0])}
