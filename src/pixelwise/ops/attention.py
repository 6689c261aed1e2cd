"""Attention between all pixels, without the matrix of all pairs.

    A_ij = softmax_j(q_i . k_j)     where pixel i looks
    o_i = sum_j A_ij v_j            what it sees

Channels come first and value and key may differ in width. On a CPU, blocks of queries are
computed at a time; backward computes each block of A again from q and k:

    dv += g_i A_i,   dA_i = g_i^T v,   dS_i = A_i * (dA_i - sum_j A_ij dA_ij),
    dq_i = k dS_i^T,   dk += q_i dS_i

On a GPU, in a traced graph, and on a CPU where key and value are equally wide, it is torch's fused
attention, which keeps no more either; see `choice`.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import kernels
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.precision import (
    Gradients,
    full_precision,
    once,
    own_backward,
    statistics_dtype,
)


def reference(
    query: Float[Tensor, "b d n"], key: Float[Tensor, "b d m"], value: Float[Tensor, "b e m"]
) -> Float[Tensor, "b e n"]:
    """Attention as the equations say."""
    kind = statistics_dtype(value)
    weights = torch.einsum("bdn,bdm->bnm", query.to(kind), key.to(kind)).softmax(dim=-1)
    return torch.einsum("bem,bnm->ben", value.to(kind), weights).to(value.dtype)


def attention(
    query: Float[Tensor, "b d n"],
    key: Float[Tensor, "b d m"],
    value: Float[Tensor, "b e m"],
    max_memory: int | None = None,
) -> Float[Tensor, "b e n"]:
    """Attention of every query to every key; memory grows with n + m, never with n m.

    `max_memory` bounds the bytes of the blocks that exist at a time, forward or backward; two of
    them do. The fused kernels have none.
    """
    with full_precision(value):
        chosen = choice.form("attention", value, key)
        if chosen == "plain":
            return reference(query, key, value)
        if chosen == "traced":
            return _fused(query, key, value)
        at_most = blocks.elements(max_memory, statistics_dtype(value), 2, key.shape[2])

        def run(limit: int | None) -> Tensor:
            if chosen == "fused" and limit == at_most:
                return _fused(*once(query, key, value))
            lean = functools.partial(_blockwise, at_most=limit)
            return kernels.either(chosen, "attention", lean)(query, key, value)

        return blocks.sparing(run, at_most)


def _blockwise(query: Tensor, key: Tensor, value: Tensor, at_most: int | None) -> Tensor:
    return _BlockAttention.apply(query, key, value, at_most)


def _fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    width = max(query.shape[1], value.shape[1])
    q, k, v = (_tokens(z, width)[:, None] for z in (query, key, value))
    seen = F.scaled_dot_product_attention(q, k, v, scale=1.0)[:, 0, :, : value.shape[1]]
    return seen.mT


def _tokens(z: Tensor, width: int) -> Tensor:
    """Channels last, zeros up to `width`: else all pairs are computed, as in the plain form."""
    tokens = z.mT
    if z.shape[1] < width:
        tokens = F.pad(tokens, (0, width - z.shape[1]))
    if tokens.stride(-1) == 1:
        return tokens
    return tokens.clone(memory_format=torch.contiguous_format)


class _BlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, at_most: int | None) -> Tensor:
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
    @own_backward
    def backward(ctx: Any, grad: Tensor) -> Gradients:
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
