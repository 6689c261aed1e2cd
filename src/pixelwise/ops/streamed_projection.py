"""Weigh the pixels by many softmaxes over them, without keeping the softmaxes.

    S_on = softmax_n(W_o . x_n)     one distribution over the pixels for each of o projections
    a_n = sum_o q_o S_on            their mixture

The lean form computes a run of projections at a time, forward and again backward:

    dq = S e,   dS = q e^T,   dT = S * (dS - sum_n S dS),   dW = dT x^T,   dx = W^T dT

with e the gradient of a; only x, W and q are kept.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import blocks
from pixelwise.ops.precision import Gradients, full_precision, own_backward


def reference(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, "b o c"], query: Float[Tensor, "b o"]
) -> Float[Tensor, "b n"]:
    """The mixture as the equations say."""
    softmaxes = torch.einsum("boc,bcn->bon", weight, x.to(weight.dtype)).softmax(dim=-1)
    return torch.einsum("bo,bon->bn", query, softmaxes)


def streamed_projection(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, "b o c"], query: Float[Tensor, "b o"]
) -> Float[Tensor, "b n"]:
    """The mixture; `weight` and `query` come in the type of statistics, as does the result."""
    with full_precision(x):
        if torch.compiler.is_compiling():
            return reference(x, weight, query)
        return _Projection.apply(x, weight, query)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, query: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, query)
        b, _, n = x.shape
        mixture = query.new_zeros(b, 1, n)
        for i in blocks.images(x):
            image = x[i].to(weight.dtype)
            for run in _runs(weight, image):
                softmaxes = _softmaxes(weight[i, run], image)
                mixture[i].baddbmm_(query[i, None, run], softmaxes)
        return mixture[:, 0]

    @staticmethod
    @own_backward
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, weight, query = ctx.saved_tensors
        wants_x, _, _ = ctx.needs_input_grad
        d_x = torch.zeros_like(x, dtype=weight.dtype) if wants_x else None
        d_weight, d_query = torch.empty_like(weight), torch.empty_like(query)
        for i in blocks.images(x):
            image = x[i].to(weight.dtype)
            e = grad[i, None]
            for run in _runs(weight, image):
                softmaxes = _softmaxes(weight[i, run], image)
                along = torch.bmm(softmaxes, e.mT)
                d_query[i, run] = along[:, :, 0]
                d_logits = softmaxes.mul_((e - along).mul_(query[i, run, None]))
                torch.bmm(d_logits, image.mT, out=d_weight[i, run])
                if d_x is not None:
                    d_x[i].baddbmm_(weight[i, run].mT, d_logits)
        return None if d_x is None else d_x.to(x.dtype), d_weight, d_query


def _runs(weight: Tensor, image: Tensor) -> list[slice]:
    row = len(image) * image.shape[2]
    return list(blocks.spans(weight.shape[1], row, blocks.SHARED_CACHE // 2, image.device))


def _softmaxes(weight: Tensor, image: Tensor) -> Tensor:
    logits = torch.bmm(weight, image)
    return torch.softmax(logits, dim=-1, out=logits)
