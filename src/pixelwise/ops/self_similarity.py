"""Attention between all pixels that are their own queries and keys.

    A_ij = softmax_j(x_i . x_j)     how alike pixel j is to pixel i
    o_i = sum_j A_ij v_j            what it sees

The logits are the same both ways, so the lean form computes those of two runs of pixels once, and
lets each run look at the other with them. With the largest logit m and the sum l of each pixel so
far, what a further run adds is

    m' = max(m, max_j S_ij),   f = exp(m - m'),   o_i = f o_i + sum_j exp(S_ij - m'_i) v_j

and l the same without v; at the end o_i / l_i. Backward, with D_i = g_i . o_i,

    dS_ij = A_ij (g_i . v_j - D_i),   dv_j += sum_i A_ij g_i,   dx_i += sum_j (dS_ij + dS_ji) x_j

so that one product with the sum takes the place of two.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.attention import attention, plain
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.precision import full_precision, statistics_dtype

BLOCKS = 3
"""So many blocks of pairs exist at a time."""


def reference(x: Float[Tensor, "b c n"], value: Float[Tensor, "b e n"]) -> Float[Tensor, "b e n"]:
    """Attention as the equations say."""
    return plain.reference(x, x, value)


def self_similarity(
    x: Float[Tensor, "b c n"], value: Float[Tensor, "b e n"], max_memory: int | None = None
) -> Float[Tensor, "b e n"]:
    """Attention of every pixel to all; `max_memory` bounds the bytes of blocks."""
    with full_precision(value):
        chosen = choice.form("self_similarity", value)
        if chosen == "plain":
            return reference(x, value)
        if chosen in ("traced", "attention"):
            return attention(x, x, value, max_memory)
        at_most = blocks.elements(max_memory, statistics_dtype(value), BLOCKS, 1)

        def run(limit: int | None) -> Tensor:
            found: Tensor = _SelfSimilarity.apply(x, value, limit)
            return found

        return blocks.sparing(run, at_most)


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return reference, ctx.saved_tensors[:2]


class _SelfSimilarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, at_most: int | None) -> Tensor:
        kind = statistics_dtype(value)
        count, _, n = value.shape
        out = value.new_zeros(value.shape, dtype=kind)
        total = out.new_zeros(count, 1, n)
        largest = out.new_full((count, 1, n), -math.inf)
        side = _side(n, at_most)
        space = [out.new_empty(side * side) for _ in range(2)]
        for z, v, o, m, s in zip(x.to(kind), value.to(kind), out, largest, total, strict=True):
            for i, j in _pairs(n, side):
                logits, weights = _blocks(space, i, j)
                torch.mm(z[:, i].mT, z[:, j], out=logits)
                _look(logits, weights, v[:, j], o[:, i], m[:, i], s[:, i])
                if i != j:
                    _look(logits.mT, weights.mT, v[:, i], o[:, j], m[:, j], s[:, j])
        out /= total
        ctx.save_for_backward(x, value, out, largest.add_(total.log_()))
        ctx.side = side
        return out.to(value.dtype) if kind != value.dtype else out

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, value, out, scale = ctx.saved_tensors
        kind = out.dtype
        n, side = value.shape[2], ctx.side
        along = (grad.to(kind) * out).sum(dim=1, keepdim=True)
        d_x, d_value = torch.zeros_like(x, dtype=kind), torch.zeros_like(out)
        space = [out.new_empty(side * side) for _ in range(BLOCKS)]
        given = (x.to(kind), value.to(kind), grad.to(kind), scale, along, d_x, d_value)
        for z, v, g, m, d, d_z, d_v in zip(*given, strict=True):
            for i, j in _pairs(n, side):
                logits, weights, moved = _blocks(space, i, j)
                torch.mm(z[:, i].mT, z[:, j], out=logits)
                _exponential(torch.sub(logits, m[:, i].mT, out=weights))
                d_v[:, j].addmm_(g[:, i], weights)
                torch.mm(g[:, i].mT, v[:, j], out=moved)
                moved.sub_(d[:, i].mT).mul_(weights)
                if i != j:
                    _exponential(logits.sub_(m[:, j]))
                    d_v[:, i].addmm_(g[:, j], logits.mT)
                    torch.mm(v[:, i].mT, g[:, j], out=weights)
                    moved.add_(weights.sub_(d[:, j]).mul_(logits))
                d_z[:, i].addmm_(z[:, j], moved.mT)
                d_z[:, j].addmm_(z[:, i], moved)
        return d_x.to(x.dtype), d_value.to(value.dtype), None


def _look(
    logits: Tensor, weights: Tensor, value: Tensor, out: Tensor, largest: Tensor, total: Tensor
) -> None:
    """Add what pixels (the rows) see of others (the columns) to their sums."""
    found = torch.maximum(largest, logits.amax(dim=1))
    shrunk = largest.sub_(found).exp_()
    _exponential(torch.sub(logits, found.mT, out=weights))
    total.mul_(shrunk).add_(weights.sum(dim=1))
    out.mul_(shrunk).addmm_(value, weights.mT)
    largest.copy_(found)


def _exponential(below: Tensor) -> Tensor:
    """The exponential function of numbers up to 0, in place.

    Processors take many times as long for products of numbers too small to be normal. None are
    left: what is far below the rounding of a sum of at least 1 becomes a number that is, too.
    """
    return below.clamp_(min=4 * math.log(torch.finfo(below.dtype).eps)).exp_()


def _pairs(n: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Each two runs of pixels once; first each with itself, where the largest logits mostly are."""
    runs = [slice(start, min(n, start + side)) for start in range(0, n, side)]
    yield from zip(runs, runs, strict=True)
    yield from ((one, other) for k, one in enumerate(runs) for other in runs[k + 1 :])


def _side(n: int, at_most: int | None) -> int:
    """How many pixels a run has."""
    most = blocks.PASS_BLOCK if at_most is None else min(blocks.PASS_BLOCK, at_most)
    return max(1, min(n, math.isqrt(most)))


def _blocks(space: list[Tensor], i: slice, j: slice) -> list[Tensor]:
    rows, columns = i.stop - i.start, j.stop - j.start
    return [part[: rows * columns].view(rows, columns) for part in space]
