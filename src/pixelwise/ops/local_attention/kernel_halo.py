"""Tiles of a map, and the halo around each: what kernels of attention in windows share.

The border, b pixels, is mirrored, so that a query which stands at row a of h rows sees row y

    m(a, y) = [|a - y| <= b] + [y >= 1 and a + y <= b] + [y <= h - 2 and 2 (h - 1) - y - a <= b]

times. Who sees y in a mirror sees y itself as well, so no halo goes beyond the map. With m' of the
columns the weight of a key is m m' e^(q . k) = 2^(log2 m + log2 m' + q . k log2 e): a logarithm is
the same for many pairs of a program, and a power of two is one operation.
"""

from typing import Any, NamedTuple, no_type_check

import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.local_attention.tiling import Tiling
from pixelwise.ops.running.kernel_launch import multiplied, padded, parts, span, warps


class Blocks(NamedTuple):
    """How a program cuts the pairs of queries and keys."""

    tall: int
    """Rows of the tile that a program keeps."""
    broad: int
    """Columns of it."""
    other: int
    """Pixels of the halo that it takes at a time, whole rows if they are no more."""
    whole: int
    """Channels at most that it reads once for all of its tile."""
    depth: int
    """Channels that it takes at a time where they are more."""
    width: int
    """Channels at most that it writes."""


HALF = Blocks(tall=8, broad=8, other=32, whole=128, depth=64, width=128)
"""For tensor cores."""
SINGLE = Blocks(tall=4, broad=8, other=16, whole=0, depth=16, width=64)
"""For float32, whose products keep their operands in registers."""
LOG2_E = tl.constexpr(1.4426950408889634)
ALIGNED = 4
"""The first column of a halo is a multiple of this, so that as many are read at once."""


@triton.jit
@no_type_check
def tile(index, across, top, left, tall: tl.constexpr, broad: tl.constexpr):
    """Rows and columns of the pixels in the `index`-th tile from (top, left), `across` in a row."""
    place = tl.arange(0, tall * broad)
    row = top + index // across * tall + place // broad
    return row, left + index % across * broad + place % broad


@triton.jit
@no_type_check
def offsets(row, column, z_h, z_w):
    """Where pixels are in a map, in 64 bits."""
    return row.to(tl.int64) * z_h + column.to(tl.int64) * z_w


@triton.jit
@no_type_check
def block(z, z_c, pixels, inside, start, width: tl.constexpr, c, kind: tl.constexpr):
    """Pixels times `width` channels from `start`."""
    channels, in_c = span(start, width, c)
    at = z + pixels[:, None] + channels[None] * z_c
    return tl.load(at, mask=inside[:, None] & in_c[None], other=0).to(kind)


@triton.jit
@no_type_check
def turned(z, z_c, pixels, inside, width: tl.constexpr, c, kind: tl.constexpr):
    """The first `width` channels times pixels."""
    channels, in_c = span(0, width, c)
    at = z + channels[:, None] * z_c + pixels[None]
    return tl.load(at, mask=in_c[:, None] & inside[None], other=0).to(kind)


@triton.jit
@no_type_check
def put(z, z_c, pixels, inside, start, width: tl.constexpr, c, found):
    """Write what `block` would read."""
    channels, in_c = span(start, width, c)
    at = z + pixels[:, None] + channels[None] * z_c
    tl.store(at, found, mask=inside[:, None] & in_c[None])


@triton.jit
@no_type_check
def often(at, y, size, border: tl.constexpr):
    """`log2 m(at, y)`; of rows that a query at row `at` does not see, -inf."""
    near = (tl.abs(at - y) <= border) & (y >= 0) & (y < size)
    before = (y >= 1) & (at + y <= border)
    after = (y <= size - 2) & (2 * (size - 1) - y - at <= border)
    mirrors = tl.where(before & after, 1.584962500721156, tl.where(before | after, 1.0, 0.0))
    return tl.where(near, mirrors, float("-inf"))


def cut(
    query: Tensor, key: Tensor, value: Tensor, tiling: Tiling, *held: int, of_keys: bool = False
) -> tuple[int, dict[str, Any]]:
    """How many tiles a map has, of queries or of keys, and the blocks of a program.

    `held` are the widths of what a program would have whole.
    """
    kind = multiplied(query, key, value)
    blocks = SINGLE if kind == tl.float32 else HALF
    border, stride = tiling.kernel_size // 2, tiling.stride
    lead = parts(border, ALIGNED) * ALIGNED
    pixels, reach = (key, 1) if of_keys else (query, stride)
    count = (blocks.broad - 1) * reach + lead + border
    count = 1 + (parts(count, stride) if of_keys else count)
    columns = padded(count, blocks.other)
    whole, (d, e) = max(held) <= blocks.whole, (query.shape[2], value.shape[2])
    constants = {
        "kind": kind,
        "border": border,
        "lead": lead,
        "stride": stride,
        "tall": blocks.tall,
        "broad": blocks.broad,
        "rows": blocks.other // columns,
        "columns": columns,
        "across": parts(count, columns),
        "whole": whole,
        "depth": blocks.depth,
        "block_d": padded(d, blocks.width),
        "block_e": padded(e, blocks.width),
        "num_warps": warps(128 if max(d, e) <= 64 else 256, value),
    }
    if not whole:
        constants["num_stages"] = 2  # of more, a program for NVIDIA's cards spills addresses
    high, wide = pixels.shape[3:]
    return parts(high, blocks.tall) * parts(wide, blocks.broad), constants
