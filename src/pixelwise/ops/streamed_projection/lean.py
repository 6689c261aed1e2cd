"""A run of projections at a time, forward and again backward; only x, W and q are kept.

    dq = S e,   T_on = S_on (e_n - dq_o),   dW_o = q_o T_o x^T,   dx = sum_o q_o W_o^T T_o

with e the gradient of a.
"""

from typing import Any

import torch
from torch import Tensor

from pixelwise.ops.running import blocks
from pixelwise.ops.running.backward import Gradients, twice_differentiable
from pixelwise.ops.running.products import over_channels, over_pixels
from pixelwise.ops.streamed_projection.plain import again


class Projection(torch.autograd.Function):
    """The mixture of map, projections and their weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, query: Tensor) -> Tensor:
        """Run by run."""
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
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """Run by run, with the softmaxes computed again."""
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
