"""Attention whose scores have a bias that follows from places, without the biases of all pairs.

    A_ij = softmax_j(q_i . k_j + b_ij)     where pixel i looks
    o_i = sum_j A_ij v_j                   what it sees

The lean form computes b and A of some queries at a time, and again backward, by autograd.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.precision import full_precision, statistics_dtype

Bias = Callable[..., Float[Tensor, "b m run k"]]
"""From the numbers of some queries, and the tensors that it depends on: their biases."""


def biased_attention(
    query: Float[Tensor, "b m n d"],
    key: Float[Tensor, "b m k d"],
    value: Float[Tensor, "b m k e"],
    bias: Bias,
    *given: Tensor,
    pairs: int = 1,
) -> Float[Tensor, "b m n e"]:
    """The attention with `bias(queries, *given)`, which writes `pairs` numbers for a weight."""
    with full_precision(value):
        if choice.form("biased_attention", value) != "lean":
            return reference(query, key, value, *given, bias=bias)
        found: Tensor = _InRuns.apply(query, key, value, *given, bias, pairs)
        return found


def reference(
    query: Float[Tensor, "b m n d"],
    key: Float[Tensor, "b m k d"],
    value: Float[Tensor, "b m k e"],
    *given: Tensor,
    bias: Bias,
) -> Float[Tensor, "b m n e"]:
    """All queries at once."""
    numbers = torch.arange(query.shape[2], device=query.device)
    return _seen(numbers, query, key, value, *given, bias=bias)


def _seen(
    numbers: Tensor, query: Tensor, key: Tensor, value: Tensor, *given: Tensor, bias: Bias
) -> Tensor:
    kind = statistics_dtype(value)
    score = torch.matmul(query.to(kind), key.to(kind).mT) + bias(numbers, *given).to(kind)
    return torch.matmul(score.softmax(dim=-1), value.to(kind)).to(value.dtype)


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    def plain(query: Tensor, key: Tensor, value: Tensor, *given: Tensor) -> Any:
        return reference(query, key, value, *given, bias=ctx.bias)

    return plain, ctx.saved_tensors


class _InRuns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        query, *others, ctx.bias, ctx.pairs = given
        ctx.save_for_backward(query, *others)
        seen = [
            _seen(numbers, query[:, :, part], *others, bias=ctx.bias)
            for part, numbers in _runs(query, others[0], ctx.pairs)
        ]
        return torch.cat(seen, dim=2)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        query, *others = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:-2]
        d_query = torch.empty_like(query)
        found = [
            torch.zeros_like(z) if own else None for z, own in zip(others, wanted, strict=True)
        ]
        for part, numbers in _runs(query, others[0], ctx.pairs):
            with torch.enable_grad():
                own = query[:, :, part].detach().requires_grad_()
                rest = [z.detach().requires_grad_(w) for z, w in zip(others, wanted, strict=True)]
                seen = _seen(numbers, own, *rest, bias=ctx.bias)
            asked = [own, *(z for z in rest if z.requires_grad)]
            d_query[:, :, part], *some = torch.autograd.grad(
                seen, asked, grad[:, :, part], materialize_grads=True
            )
            for total, one in zip((z for z in found if z is not None), some, strict=True):
                total += one
        return d_query if ctx.needs_input_grad[0] else None, *found, None, None


def _runs(query: Tensor, key: Tensor, pairs: int) -> list[tuple[slice, Tensor]]:
    per_query = query.shape[0] * query.shape[1] * key.shape[2] * pairs
    spans = blocks.spans(query.shape[2], per_query, blocks.PRODUCT_BLOCK, query.device)
    return [(run, torch.arange(run.start, run.stop, device=query.device)) for run in spans]
