"""Logits of a run of pixels with another, from mask lines and guides; gradients back to the lines.

The run of pixels x is the one whose guides count. The mask lines between the runs, times these
guides, are one product, and the logits are its diagonals:

    lines[t, x] = W[lowest + t] . a_x,     L[y, x] = lines[y - x + run - 1, x]

Of the 2 run lines the upper half is the lower one of the next run of y, so that a program whose own
pixels are x computes each once. Lines outside of the mask are zero, and so are their logits.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, no_type_check

import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.kernel_launch import architecture, multiplied, padded, span, warps
from pixelwise.ops.running.kernel_pairs import pixels, products


class Blocks(NamedTuple):
    """How a program cuts the map."""

    run: int
    """Pixels of a run."""
    depth: int
    """Channels that it reads at a time."""
    width: int
    """Channels that it writes at most, all from the same logits."""
    threads: int


HALF = Blocks(run=32, depth=64, width=512, threads=256)
"""For tensor cores."""
SINGLE = Blocks(run=16, depth=16, width=64, threads=128)
"""For float32; Triton multiplies no blocks below 16."""
MOST = 512
WHOLE = {80: (MOST, 256), 90: (MOST, MOST)}
OTHERS_WHOLE = (256, 128)
"""Architecture -> channels up to which a program holds a run of one map, or of two, and then reads
lines and pixels whole, in one loop: what shared memory is enough for."""
LOWEST = tl.constexpr(-1e38)
"""Below every logit: a softmax begins with it."""


def cut(maps: Sequence[Tensor], writes: int, holds: int, lines: int = 1) -> dict[str, Any]:
    """The blocks of a program that writes maps of so many channels.

    Of `holds` maps it goes with one run through all others, so that it may hold that run. For two
    `lines`, beside all its sums it has 2 run lines of one map in registers.
    """
    kind = multiplied(*maps)
    half, channels = kind != tl.float32, max(z.shape[1] for z in maps[1:])
    run, depth, width, threads = HALF if half else SINGLE
    most = (0, *WHOLE.get(architecture(maps[0]), OTHERS_WHOLE))[holds]
    whole = half and channels <= most
    depth = padded(maps[1].shape[1], MOST) if whole else depth
    width = padded(writes, width if whole else width // lines)
    sizes = {"run": run, "depth": depth, "width": width, "whole": whole}
    stages = {"num_stages": 2} if whole else {}
    return {"kind": kind, **sizes, **stages, "num_warps": warps(threads, maps[0])}


@triton.jit
@no_type_check
def run_place(index, tiles, run: tl.constexpr):
    """The row and the first column of a run, by its index in the map; in 64 bits, as places are."""
    index = tl.cast(index, tl.int64)
    return index // tiles, index % tiles * run


@triton.jit
@no_type_check
def near_rows(row, p, h, own_x: tl.constexpr):
    """The first and the last, not counted, of the rows that the mask of a row of x or y reaches."""
    half = (p - 1) // 2
    first = row - half if own_x else row + half - p + 1
    return tl.maximum(first, 0), tl.minimum(first + p, h)


@triton.jit
@no_type_check
def far_sums(sums, channels, in_c, near, end, h, width: tl.constexpr):
    """What the rows before `near` and from `end` on add up to."""
    found = tl.zeros((width,), tl.float32)
    for far in range(h - end + near):
        row = tl.where(far < near, far, far + end - near)
        found += tl.load(sums + channels * h + row, mask=in_c, other=0)
    return found


@triton.jit
@no_type_check
def held_guides(
    guide, a_d, a_w, x, d, w,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    """The guides of a run, where they are read whole; else nothing."""
    if whole:
        column, in_w = span(x, run, w)
        return pixels(guide, a_d, a_w, column, in_w, d, depth).to(kind)
    else:
        return 0


@triton.jit
@no_type_check
def run_lines(
    weight, w_q, w_d, guide, a_d, a_w, held, lowest, x, q, d, w,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    """`run` mask lines times the guides of a run: those `held`, or read in parts."""
    line, in_q = span(lowest, run, q)
    in_q &= line >= 0
    if whole:
        lines = pixels(weight, w_d, w_q, line, in_q, d, depth).to(kind)
        return tl.dot(lines, tl.trans(held), input_precision="ieee")
    else:
        column, in_w = span(x, run, w)
        return products(
            weight, w_d, w_q, line, in_q, guide, a_d, a_w, column, in_w, d, kind, run, run, depth
        )


@triton.jit
@no_type_check
def skewed(lower, upper, run: tl.constexpr):
    """L[y, x] of the two halves of the lines."""
    along = tl.arange(0, run)
    place = along[:, None] - along[None] + run - 1
    low = tl.gather(lower, tl.minimum(place, run - 1), 0)
    return tl.where(place < run, low, tl.gather(upper, tl.maximum(place - run, 0), 0))


@triton.jit
@no_type_check
def logits(
    weight, w_p, w_q, w_d, guide, a_d, a_h, a_w, held, lower, row, first, other, start,
    p, q, d, w, own_x: tl.constexpr,
    kind: tl.constexpr, run: tl.constexpr, depth: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    """L[y, x] of a program's own run, at (row, first), with one at (other, start); the upper lines.

    Where the own pixels are x, their guides are `held`, and `lower` the lines of the run before.
    """
    row_x, x = (row, first) if own_x else (other, start)
    row_y, y = (other, start) if own_x else (row, first)
    lines, guides = weight + (row_y - row_x + (p - 1) // 2) * w_p, guide + row_x * a_h
    lowest = y - x + (q - 1) // 2 - run + 1
    if own_x:
        upper = run_lines(
            lines, w_q, w_d, guides, a_d, a_w, held, lowest + run, x, q, d, w,
            kind, run, depth, whole,
        )  # fmt: skip
        return skewed(lower, upper, run), upper
    else:
        guide_x = held_guides(guides, a_d, a_w, x, d, w, kind, run, depth, whole)
        below = run_lines(
            lines, w_q, w_d, guides, a_d, a_w, guide_x, lowest, x, q, d, w, kind, run, depth, whole
        )
        above = run_lines(
            lines, w_q, w_d, guides, a_d, a_w, guide_x, lowest + run, x, q, d, w,
            kind, run, depth, whole,
        )  # fmt: skip
        return skewed(below, above, run), above


@triton.jit
@no_type_check
def to_lines(slopes, run: tl.constexpr):
    """What gradients of the logits are to the lines: `logits` the other way."""
    place = tl.arange(0, 2 * run)[:, None] + tl.arange(0, run)[None] - run + 1
    found = tl.gather(slopes, tl.minimum(tl.maximum(place, 0), run - 1), 0)
    return tl.where((place >= 0) & (place < run), found, 0.0)
