"""Sum how far the pixels lie from codewords that they are softly assigned to.

    d_kn = |x_n - c_k|^2                    distance of pixel n from codeword k
    A_kn = softmax_k(s_k d_kn)              its assignment
    E_k = sum_n A_kn (x_n - c_k)            what the codeword leaves unexplained

One product with the codewords gives all distances, and one with the assignments all sums:

    d = |x|^2 - 2 c . x + |c|^2,            E = A x^T - (sum_n A) c

where x and c are taken from the mean of the codewords: far from zero the squares would cancel.
The lean form does so for a run of pixels at a time, and keeps A alone. Backward, with L = s d,

    dA_kn = dE_k . (x_n - c_k),             ds_k = sum_n dL_kn d_kn,
    dx_n = sum_k (A_kn dE_k + 2 s_k dL_kn (x_n - c_k)),    dc_k: the same over n, negative

The form `authors` costs what released code does: it writes all differences x_n - c_k once for the
distances and once for the sums, forward and backward, but keeps none of them for backward, where
`plain` under autograd keeps three tensors of that size. It is there to be measured, and not faster.
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
    x: Float[Tensor, "b c n"], codewords: Float[Tensor, "k c"], scale: Float[Tensor, " k"]
) -> Float[Tensor, "b k c"]:
    """The sums as the equations say."""
    kind = statistics_dtype(x)
    apart = x.to(kind)[:, None] - codewords.to(kind)[:, :, None]
    weights = (scale.to(kind)[:, None] * apart.square().sum(dim=2)).softmax(dim=1)
    return torch.einsum("bkn,bkcn->bkc", weights, apart)


def assignments(
    x: Float[Tensor, "b c n"], codewords: Float[Tensor, "k c"], scale: Float[Tensor, " k"]
) -> Float[Tensor, "b k n"]:
    """To which codeword each pixel belongs, in the type of statistics."""
    with full_precision(x):
        return _product_form(x, codewords, scale)[0]


def encoding(
    x: Float[Tensor, "b c n"], codewords: Float[Tensor, "k c"], scale: Float[Tensor, " k"]
) -> Float[Tensor, "b k c"]:
    """The sums, in the type of statistics."""
    with full_precision(x):
        chosen = choice.form("encoding", x)
        if chosen == "plain":
            return reference(x, codewords, scale)
        if chosen == "traced":
            return _product_form(x, codewords, scale)[1]
        if chosen == "authors":
            return _Written.apply(x, codewords, scale)
        return _Encoding.apply(x, codewords, scale)


def _product_form(x: Tensor, codewords: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    kind = statistics_dtype(x)
    codes, scale = codewords.to(kind), scale.to(kind)
    middle = codes.mean(dim=0)
    codes, pixels = codes - middle, x.to(kind) - middle[:, None]
    weights = (scale[:, None] * _distances(pixels, codes)).softmax(dim=1)
    return weights, torch.bmm(weights, pixels.mT) - weights.sum(dim=2)[:, :, None] * codes


def _distances(pixels: Tensor, codes: Tensor) -> Tensor:
    """Squared distances of (b, c, n) pixels from (k, c) codewords."""
    near = torch.matmul(codes, pixels)
    return pixels.square().sum(dim=1, keepdim=True) - 2 * near + codes.square().sum(1)[:, None]


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return reference, ctx.saved_tensors[:3]


class _Encoding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, codewords: Tensor, scale: Tensor) -> Tensor:
        kind = statistics_dtype(x)
        middle = codewords.to(kind).mean(dim=0)
        codes = codewords.to(kind) - middle
        weights = codes.new_empty(x.shape[0], len(codes), x.shape[2])
        sums = codes.new_zeros(x.shape[0], *codes.shape)
        for i, run in _runs(x):
            pixels = x[i, :, run].to(kind) - middle[:, None]
            part = _distances(pixels, codes).mul_(scale.to(kind)[:, None]).softmax(dim=1)
            weights[i, :, run] = part
            sums[i] += torch.bmm(part, pixels.mT)
        ctx.save_for_backward(x, codewords, scale, weights)
        return sums.sub_(weights.sum(dim=2)[:, :, None] * codes)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, codewords, scale, weights = ctx.saved_tensors
        kind = grad.dtype
        middle = codewords.to(kind).mean(dim=0)
        codes, factor = codewords.to(kind) - middle, scale.to(kind)[:, None]
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_codes = -torch.einsum("bk,bkc->kc", weights.sum(dim=2), grad)
        d_scale = torch.zeros_like(factor)
        own = (grad * codes).sum(dim=2, keepdim=True)
        columns = torch.cat([grad, (-2 * factor * codes).expand_as(grad)], dim=1).mT
        for i, run in _runs(x):
            pixels, part = x[i, :, run].to(kind) - middle[:, None], weights[i, :, run]
            d_part = torch.bmm(grad[i], pixels) - own[i]
            d_logits = part * (d_part - (part * d_part).sum(dim=1, keepdim=True))
            d_scale += (d_logits * _distances(pixels, codes)).sum(dim=(0, 2))[:, None]
            pull = d_logits * (2 * factor)
            d_codes += pull.sum(dim=(0, 2))[:, None] * codes
            d_codes -= torch.bmm(pull, pixels.mT).sum(dim=0)
            if d_x is not None:
                pixels.mul_(pull.sum(dim=1, keepdim=True))
                pixels += torch.bmm(columns[i], torch.cat([part, d_logits], dim=1))
                d_x[i, :, run] = pixels
        return d_x, d_codes.to(codewords.dtype), d_scale[:, 0].to(scale.dtype)


def _runs(x: Tensor) -> Iterator[tuple[slice, slice]]:
    for image in blocks.images(x):
        for run in blocks.spans(x.shape[2], x.shape[1], blocks.PASS_BLOCK, x.device):
            yield image, run


class _Written(torch.autograd.Function):
    """All differences are written, and none is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codewords: Tensor, scale: Tensor) -> Tensor:
        pixels, codes, factor = _by_pixel(x, codewords, scale)
        distances = (pixels - codes).square().sum(dim=3)  # (b, n, k)
        weights = (distances * factor).softmax(dim=2)
        ctx.save_for_backward(x, codewords, scale, weights, distances)
        return ((pixels - codes) * weights[..., None]).sum(dim=1)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, codewords, scale, weights, distances = ctx.saved_tensors
        pixels, codes, factor = _by_pixel(x, codewords, scale)
        d_weights = ((pixels - codes) * grad[:, None]).sum(dim=3)
        d_logits = weights * (d_weights - (weights * d_weights).sum(dim=2, keepdim=True))
        d_scale = (d_logits * distances).sum(dim=(0, 1))
        pull = (pixels - codes) * (2 * factor * d_logits)[..., None]  # (b, n, k, c)
        d_pixels = torch.bmm(weights, grad) + pull.sum(dim=2)
        d_codes = -(weights.sum(dim=1)[..., None] * grad).sum(dim=0) - pull.sum(dim=(0, 1))
        return d_pixels.mT.to(x.dtype), d_codes.to(codewords.dtype), d_scale.to(scale.dtype)


def _by_pixel(x: Tensor, codewords: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels (b, n, 1, c), codewords (k, c) and scales (k), in the type of statistics."""
    kind = statistics_dtype(x)
    return x.to(kind).mT.contiguous()[:, :, None], codewords.to(kind), scale.to(kind)
