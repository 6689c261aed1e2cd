"""A run of output pixels of one row at a time; backward computes each block of logits again.

Weights stay E = e^(L - max) and what they make is divided by their sum s:

    o = E z / s,   dL = E * (z . g - o . g) / s,   dz += E g / s,   da = W dL,   dW = dL a
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pixelwise.ops.running.backward import Gradients, twice_differentiable
from pixelwise.ops.skewed_mask.lean_block import Rest, SkewBlock
from pixelwise.ops.skewed_mask.lean_steps import Skew, Step
from pixelwise.ops.skewed_mask.plain import again


class StepWeights(NamedTuple):
    """Weights of a step's sources and of any other pixel, and what divides both, by output."""

    inside: Tensor
    """(b, output, source) where the outputs gather, (b, source, output) where sources hand out."""
    outside: Tensor | None
    total: Tensor | None


class SkewedAttention(torch.autograd.Function):
    """The attention of mask weights, guides and values, run by run."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        guide: Tensor,
        value: Tensor,
        collect: bool,
        softmax: bool,
        at_most: int | None,
    ) -> Tensor:
        """Run by run."""
        skew = Skew(weight, guide, value, collect, at_most)
        out, rest = torch.empty_like(skew.value), Rest(skew.value)
        for run in skew.runs():
            part, block = skew.weight[:, run.mask].contiguous(), SkewBlock(skew)
            rest.start(run)
            for step in skew.steps(run):
                weights = _weights(block, step, part, softmax)
                pairs = weights.inside.mT if collect else weights.inside
                seen = torch.bmm(skew.values(step), pairs)
                if weights.outside is not None:
                    seen += rest.total(step)[:, :, None] * weights.outside[:, None]
                if weights.total is not None:
                    seen /= weights.total[:, None]
                out[step.images, :, step.row.output, run.outputs] = seen
        ctx.save_for_backward(weight, guide, value, out)
        ctx.options = (collect, softmax, at_most)
        return out.to(value.dtype)

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """Run by run, with each block of logits computed again."""
        weight, guide, value, out = ctx.saved_tensors
        collect, softmax, at_most = ctx.options
        skew = Skew(weight, guide, value, collect, at_most)
        d_weight, d_guide = torch.zeros_like(skew.weight), torch.zeros_like(skew.guide)
        d_value, rest = torch.zeros_like(skew.value), Rest(skew.value)
        grad = grad.to(out.dtype)
        along = (grad * out).sum(dim=1)
        for run in skew.runs():
            part = skew.weight[:, run.mask].contiguous()
            d_part, block, d_block = torch.zeros_like(part), SkewBlock(skew), SkewBlock(skew)
            rest.start(run)
            for step in skew.steps(run):
                g = grad[step.images, :, step.row.output, run.outputs]
                weights = _weights(block, step, part, softmax)
                if weights.total is not None:
                    g = g / weights.total[:, None]
                pairs = weights.inside if collect else weights.inside.mT
                _add_product(d_value[step.images, :, step.row.sources, run.sources], g, pairs)
                left, right = (g, skew.values(step)) if collect else (skew.values(step), g)
                d_logits, scale = torch.bmm(left.mT, right), None
                if weights.total is not None:
                    own = along[step.images, step.row.output, run.outputs] / weights.total
                    d_logits -= own[:, :, None] if collect else own[:, None]
                    scale = weights.inside
                if weights.outside is not None:
                    rest.send(step, (g * weights.outside[:, None]).sum(dim=2))
                lines = d_block.lines(step, d_logits, scale, part.shape[1])
                _send(skew, step, part, lines, d_part, d_guide)
            rest.finish(run, d_value)
            d_weight[:, run.mask] += d_part
        d_value += rest.d_rows[..., None]
        d_weight = d_weight if collect else d_weight.flip(0)
        return (
            d_weight.to(weight.dtype),
            d_guide.permute(0, 3, 1, 2).to(guide.dtype),
            d_value.to(value.dtype),
            None,
            None,
            None,
        )


def _weights(block: SkewBlock, step: Step, part: Tensor, softmax: bool) -> StepWeights:
    logits, skew = block.logits(step, part), block.skew
    weights = logits.new_empty(logits.shape)
    pairs = weights.flatten(2) if skew.collect else weights.flatten(1, 2)
    if not softmax:
        weights.copy_(logits)
        return StepWeights(pairs, None, None)
    others, over = skew.outside(step), (2, 3) if skew.collect else (1, 2)
    top = highest(weights.copy_(logits), others, over)
    weights.sub_(top).exp_()
    return StepWeights(pairs, *sums(weights, top, others, over))


def highest(logits: Tensor, others: int, over: tuple[int, int]) -> Tensor:
    """The largest logit of each output; pixels outside have one of 0."""
    top = logits.amax(dim=over, keepdim=True)
    return top.clamp(min=0) if others else top


def sums(
    weights: Tensor, top: Tensor, others: int, over: tuple[int, int]
) -> tuple[Tensor | None, Tensor]:
    """The weight of any of `others` pixels outside, and the sum of all, of each output."""
    total = weights.sum(dim=over)
    if not others:
        return None, total
    zero = (-top).exp().squeeze(over)
    return zero, total + others * zero


def _send(
    skew: Skew, step: Step, part: Tensor, lines: Tensor, d_part: Tensor, d_guide: Tensor
) -> None:
    """Add to the gradients of mask weights and guides what comes from those of the lines."""
    guides, weight = skew.guides(step, skew.guide), part[step.row.mask]
    d_guides, d_weight = skew.guides(step, d_guide), d_part[step.row.mask]
    if skew.collect:
        flat = lines.flatten(2)
        d_weight.flatten(0, 1).addmm_(flat.flatten(0, 1).mT, guides.flatten(0, 1))
        d_guides += torch.matmul(weight.flatten(0, 1).mT, flat.mT).mT
    else:
        by_row, by_place = lines.permute(1, 3, 0, 2), guides.transpose(0, 1)
        d_weight.baddbmm_(by_row.flatten(2), by_place.flatten(1, 2))
        for own, found in zip(d_guides, lines, strict=True):
            own.baddbmm_(found, weight)


def _add_product(target: Tensor, left: Tensor, right: Tensor) -> None:
    """`target`, (b, c, rows, columns), += the product of (b, c, k) and (b, k, rows * columns)."""
    if target.stride(2) == target.shape[3]:
        target.flatten(2).baddbmm_(left, right)
    else:
        target += torch.bmm(left, right).view(target.shape)
