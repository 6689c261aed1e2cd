"""Logits of a run of pixels with another, from mask lines and guides; gradients back to the lines.

The run of pixels x is the one whose guides count. The mask lines between the runs, times these
guides, are one product, and the logits are its diagonals:

    lines[t, x] = W[lowest + t] . a_x,     L[y, x] = lines[y - x + run - 1, x]

Lines outside of the mask are zero, and so are their logits.
"""

from typing import Any, no_type_check

import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.kernel_launch import multiplied, span, warps

HALF = {"run": 32, "depth": 64, "width": 128, "threads": 256}
"""For tensor cores."""
SINGLE = {"run": 16, "depth": 16, "width": 64, "threads": 128}
"""For float32; Triton multiplies no blocks below 16."""


def cut(*maps: Tensor) -> dict[str, Any]:
    """The blocks of a program: pixels of a run, channels to read and to write at a time."""
    kind = multiplied(*maps)
    blocks = SINGLE if kind == tl.float32 else HALF
    shared = {name: size for name, size in blocks.items() if name != "threads"}
    return {"kind": kind, **shared, "num_warps": warps(blocks["threads"], maps[0])}


@triton.jit
@no_type_check
def run_place(index, tiles, run: tl.constexpr):
    """The row and the first column of a run, by its index in the map; in 64 bits, as places are."""
    index = tl.cast(index, tl.int64)
    return index // tiles, index % tiles * run


@triton.jit
@no_type_check
def between(row_x, x, row_y, y, p, q, run: tl.constexpr):
    """The mask row from x to y, the lowest of its lines between the runs, and if there are any."""
    down, lowest = row_y - row_x + (p - 1) // 2, y - x + (q - 1) // 2 - run + 1
    return down, lowest, (down >= 0) & (down < p) & (lowest < q) & (lowest + 2 * run > 1)


@triton.jit
@no_type_check
def logits(
    weight, w_q, w_d, guide, a_d, a_w, lowest, x, q, d, w,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    """L[y, x] for the mask row `weight`, and guides of the map's row `guide` from column x on."""
    line, in_q = span(lowest, 2 * run, q)
    column, in_w = span(x, run, w)
    in_q &= line >= 0
    lines = tl.zeros((2 * run, run), tl.float32)
    for start in range(0, d, depth):
        channels, in_d = span(start, depth, d)
        at = weight + line[:, None] * w_q + channels[None] * w_d
        one = tl.load(at, mask=in_q[:, None] & in_d[None], other=0).to(kind)
        at = guide + channels[:, None] * a_d + column[None] * a_w
        two = tl.load(at, mask=in_d[:, None] & in_w[None], other=0).to(kind)
        lines = tl.dot(one, two, lines, input_precision="ieee")
    along = tl.arange(0, run)
    return tl.gather(lines, along[:, None] - along[None] + run - 1, 0)


@triton.jit
@no_type_check
def to_lines(slopes, run: tl.constexpr):
    """What gradients of the logits are to the lines: `logits` the other way."""
    place = tl.arange(0, 2 * run)[:, None] + tl.arange(0, run)[None] - run + 1
    found = tl.gather(slopes, tl.minimum(tl.maximum(place, 0), run - 1), 0)
    return tl.where((place >= 0) & (place < run), found, 0.0)
