"""Weigh the pixels by many softmaxes over them, without keeping the softmaxes.

    S_on = softmax_n(W_o . x_n)     one distribution over the pixels for each of o projections
    a_n = sum_o q_o S_on            their mixture

The lean form computes a run of projections at a time, forward and again backward:

    dq = S e,   T_on = S_on (e_n - dq_o),   dW_o = q_o T_o x^T,   dx = sum_o q_o W_o^T T_o

with e the gradient of a; only x, W and q are kept.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import kernels
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.precision import Gradients, full_precision, own_backward
from pixelwise.ops.running.products import over_channels, over_pixels


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
        chosen = choice.form("streamed_projection", x)
        if chosen in ("plain", "traced"):
            return reference(x, weight, query)
        apply = kernels.either(chosen, "streamed_projection", _Projection.apply)
        return apply(x, weight, query)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, query: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, query)
        b, _, n = x.shape
        mixture = query.new_zeros(b, n)
        for i in blocks.images(x):
            image = x[i].to(weight.dtype)
            for run in _runs(weight, image):
                softmaxes = _softmaxes(weight[i, run], image)
                mixture[i] += over_channels(softmaxes, query[i, run])
        return mixture

    @staticmethod
    @own_backward
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, weight, query = ctx.saved_tensors
        wants_x, _, _ = ctx.needs_input_grad
        d_x = torch.zeros_like(x, dtype=weight.dtype) if wants_x else None
        d_weight, d_query = torch.empty_like(weight), torch.empty_like(query)
        for i in blocks.images(x):
            image = x[i].to(weight.dtype)
            for run in _runs(weight, image):
                softmaxes = _softmaxes(weight[i, run], image)
                along = over_pixels(softmaxes, grad[i])
                d_query[i, run] = along
                moved = softmaxes.mul_(grad[i, None] - along[:, :, None])
                scale = query[i, run, None]
                torch.mul(torch.bmm(moved, image.mT), scale, out=d_weight[i, run])
                if d_x is not None:
                    d_x[i].baddbmm_((weight[i, run] * scale).mT, moved)
        return None if d_x is None else d_x.to(x.dtype), d_weight, d_query


def _runs(weight: Tensor, image: Tensor) -> list[slice]:
    row = len(image) * image.shape[2]
    return list(blocks.spans(weight.shape[1], row, blocks.PRODUCT_BLOCK, image.device))


def _softmaxes(weight: Tensor, image: Tensor) -> Tensor:
    logits = torch.bmm(weight, image)
    return torch.softmax(logits, dim=-1, out=logits)
