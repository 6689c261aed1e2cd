"""Attention in blocks of queries; backward computes each block of A again from q and k.

dv += g_i A_i,   dA_i = g_i^T v,   dS_i = A_i * (dA_i - sum_j A_ij dA_ij),
dq_i = k dS_i^T,   dk += q_i dS_i
"""

from typing import Any

import torch
from torch import Tensor

from pixelwise.ops.attention.plain import again
from pixelwise.ops.running import blocks
from pixelwise.ops.running.backward import Gradients, twice_differentiable
from pixelwise.ops.running.precision import statistics_dtype


class BlockAttention(torch.autograd.Function):
    """The attention of query, key and value, in blocks of `at_most` elements."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, at_most: int | None) -> Tensor:
        """Block by block."""
        ctx.save_for_backward(query, key, value)
        ctx.at_most = at_most
        kind = statistics_dtype(value)
        q, k, v = query.to(kind), key.to(kind), value.to(kind)
        out = v.new_empty(len(v), v.shape[1], q.shape[2])
        parts = _parts(q, k, at_most)
        space = _Space(q, k, parts)
        for i, run in parts:
            weights = _weights(q[i, :, run], k[i], space.take(i, run))
            torch.bmm(v[i], weights.mT, out=out[i, :, run])
        return out.to(value.dtype)

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """Block by block, again."""
        query, key, value = ctx.saved_tensors
        kind = statistics_dtype(value)
        q, k, v, g = query.to(kind), key.to(kind), value.to(kind), grad.to(kind)
        wants_pair = any(ctx.needs_input_grad[:2])
        d_q, d_k, d_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        parts = _parts(q, k, ctx.at_most)
        space, other = _Space(q, k, parts), _Space(q, k, parts)
        for i, run in parts:
            weights = _weights(q[i, :, run], k[i], space.take(i, run))
            if ctx.needs_input_grad[2]:
                d_v[i].baddbmm_(g[i, :, run], weights)
            if wants_pair:
                d_weights = torch.bmm(g[i, :, run].mT, v[i], out=other.take(i, run))
                d_scores = torch.ops.aten._softmax_backward_data.out(
                    d_weights, weights, -1, kind, grad_input=d_weights
                )
                torch.bmm(k[i], d_scores.mT, out=d_q[i, :, run])
                d_k[i].baddbmm_(q[i, :, run], d_scores)
        pair = (d_q.to(query.dtype), d_k.to(key.dtype)) if wants_pair else (None, None)
        return *pair, d_v.to(value.dtype) if ctx.needs_input_grad[2] else None, None


def _parts(query: Tensor, key: Tensor, at_most: int | None) -> list[tuple[slice, slice]]:
    """Images and runs of their queries; several images at once where one alone is little work."""
    (b, _, n), m, device = query.shape, key.shape[2], query.device
    budget = blocks.PRODUCT_BLOCK
    if not blocks.cached(device):
        return [(slice(0, b), run) for run in blocks.spans(n, b * m, budget, device, at_most)]
    return [
        (images, run)
        for images in blocks.spans(b, n * m, budget, device, at_most)
        for run in blocks.spans(n, m * (images.stop - images.start), budget, device, at_most)
    ]


class _Space:
    """One block of weights, written again for every run: fresh pages cost more than the softmax."""

    def __init__(self, query: Tensor, key: Tensor, parts: list[tuple[slice, slice]]) -> None:
        images, run = parts[0]
        count, rows = images.stop - images.start, run.stop - run.start
        self._block = query.new_empty(count, rows, key.shape[2])

    def take(self, images: slice, run: slice) -> Tensor:
        """The part of the block that fits `run`."""
        return self._block[: images.stop - images.start, : run.stop - run.start]


def _weights(query: Tensor, key: Tensor, out: Tensor) -> Tensor:
    torch.bmm(query.mT, key, out=out)
    return torch.softmax(out, dim=-1, out=out)
