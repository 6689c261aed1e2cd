"""Attention of every pixel to its row and its column.

For the pixel at row r and column c, with one softmax over the two together,

    S_rc,rv = q_rc . k_rv            every column v of its row
    S_rc,uc = q_rc . k_uc            every other row u of its column
    A = softmax([S_row, S_column])
    o_rc = sum_v A_rc,rv v_rv + sum_u A_rc,uc v_uc

Rows and columns are views of maps whose channels come last. The lean form computes the weights
of a run of rows at a time, and again backward: only q, k and v are kept.

    dA_rc,p = g_rc . v_p,   dS = A * (dA - sum_p A_p dA_p)
    dq_rc = sum_p dS_rc,p k_p,   dk_p = sum_rc dS_rc,p q_rc,   dv_p = sum_rc A_rc,p g_rc
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def reference(
    query: Float[Tensor, "b h w d"], key: Float[Tensor, "b h w d"], value: Float[Tensor, "b h w e"]
) -> Float[Tensor, "b h w e"]:
    """The attention as the equations say."""
    kind = statistics_dtype(value)
    value = value.to(kind)
    weights = _weights(query.to(kind), key.to(kind), 0)
    return (_in_column(weights, value) + _in_row(weights, value, 0)).to(value.dtype)


def criss_cross(
    query: Float[Tensor, "b h w d"],
    key: Float[Tensor, "b h w d"],
    value: Float[Tensor, "b h w e"],
    max_memory: int | None = None,
) -> Float[Tensor, "b h w e"]:
    """The attention; the weights of some rows of pixels, or of one, exist at a time.

    `max_memory` bounds the bytes of these; scores, weights, and one more are there at a time.
    """
    with full_precision(value):
        if choice.form("axis_attention", value) in ("plain", "traced"):
            return reference(query, key, value)
        (_, height, width), kind = key.shape[:3], statistics_dtype(value)
        at_most = blocks.elements(max_memory, kind, 3, width * (height + width))
        return blocks.sparing(lambda most: _CrissCross.apply(query, key, value, most), at_most)


def _weights(query: Tensor, key: Tensor, start: int) -> Tensor:
    """Weights (b, r, w, h + w), column first, of the rows of queries that begin at `start`."""
    rows, height = query.shape[1], key.shape[1]
    along_column = torch.einsum("brwd,buwd->brwu", query, key)
    along_row = torch.einsum("brwd,brvd->brwv", query, key[:, start : start + rows])
    own = torch.arange(start, start + rows, device=key.device)[:, None, None]
    own = own == torch.arange(height, device=key.device)
    scores = torch.cat([along_column.masked_fill(own, float("-inf")), along_row], dim=-1)
    return scores.softmax(dim=-1)


def _in_column(weights: Tensor, value: Tensor) -> Tensor:
    return torch.einsum("brwu,buwe->brwe", weights[..., : value.shape[1]], value)


def _in_row(weights: Tensor, value: Tensor, start: int) -> Tensor:
    values = value[:, start : start + weights.shape[1]]
    return torch.einsum("brwv,brve->brwe", weights[..., value.shape[1] :], values)


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return reference, ctx.saved_tensors


class _CrissCross(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, at_most: int | None) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.at_most = at_most
        out = torch.empty_like(value, dtype=statistics_dtype(value))
        for q, k, v, i, run in _parts(query, key, value, at_most):
            weights = _weights(q[:, run], k, run.start)
            out[i, run] = _in_row(weights, v, run.start)
            out[i, run] += _in_column(weights, v)
        return out.to(value.dtype)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        query, key, value = ctx.saved_tensors
        kind = statistics_dtype(value)
        height = key.shape[1]
        d_q, d_k, d_v = (torch.zeros_like(z, dtype=kind) for z in (query, key, value))
        for q, k, v, i, run in _parts(query, key, value, ctx.at_most):
            g, own = grad[i, run].to(kind), (i, run)
            weights = _weights(q[:, run], k, run.start)
            in_column, in_row = weights[..., :height], weights[..., height:]
            d_v[i] += torch.einsum("brwu,brwe->buwe", in_column, g)
            d_v[own] += torch.einsum("brwv,brwe->brve", in_row, g)
            d_weights = torch.cat(
                [
                    torch.einsum("brwe,buwe->brwu", g, v),
                    torch.einsum("brwe,brve->brwv", g, v[:, run]),
                ],
                dim=-1,
            )
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, kind)
            in_column, in_row = d_scores[..., :height], d_scores[..., height:]
            d_q[own] = torch.einsum("brwu,buwd->brwd", in_column, k)
            d_q[own] += torch.einsum("brwv,brvd->brwd", in_row, k[:, run])
            d_k[i] += torch.einsum("brwu,brwd->buwd", in_column, q[:, run])
            d_k[own] += torch.einsum("brwv,brwd->brvd", in_row, q[:, run])
        return d_q.to(query.dtype), d_k.to(key.dtype), d_v.to(value.dtype), None


def _parts(
    query: Tensor, key: Tensor, value: Tensor, at_most: int | None
) -> Iterator[tuple[Tensor, Tensor, Tensor, slice, slice]]:
    """Queries, keys and values of some images, in the type of statistics; which, and a run of rows.

    One image at a time on a CPU: rows and columns of a batch are no view of one product's batch.
    """
    kind = statistics_dtype(value)
    height, width = key.shape[1:3]
    for i in blocks.images(key):
        q, k, v = query[i].to(kind), key[i].to(kind), value[i].to(kind)
        pairs = len(q) * width * (height + width)
        for run in blocks.spans(height, pairs, blocks.PRODUCT_BLOCK, key.device, at_most):
            yield q, k, v, i, run
