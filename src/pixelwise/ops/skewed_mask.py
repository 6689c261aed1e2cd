"""Attention whose logits are masks that every pixel draws around itself.

For guides a_i, values z_j and mask weights W of p x q offsets (p and q odd),

    L_ji = W[j - i] . a_i   if the offset j - i is within the mask, else 0
    collect:     o_i = sum_j z_j softmax_j(L_ji)     i gathers, by its own mask
    distribute:  o_j = sum_i z_i softmax_i(L_ji)     i hands out, by its own mask

The zeros outside of the mask take part in the softmax. Without the softmax, L itself weighs.
Coordinates of i and j are rows and columns of the map.

The lean form takes a run of output pixels of one row at a time. The mask rows that reach it,
times the guides, are one matrix product; written line by line into a block, the logits of all
sources and outputs are the diagonals of the block, a view of it with other strides:

    block[t, u] = W[lowest + t] . a_u,       t = source - output + constant

Zero logits of the run's own source rows and columns are in the block as well. What lies outside
counts as e^0, by one sum of z over it per row. Backward computes each block again:

    P = softmax(L),   dL = P * (z . g - o . g),   dz += P g,   da = W dL,   dW = dL a
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import blocks, choice, kernels
from pixelwise.ops.precision import Gradients, full_precision, own_backward, statistics_dtype

LEAST_RUN = 32
"""Output columns of a run at least, where the mask is much narrower than the map."""


def expand_mask(
    mask: Float[Tensor, "b m h w"], size: tuple[int, int], collect: bool
) -> Float[Tensor, "b n n"]:
    """L of all pairs: rows are sources, columns outputs. `size` is (p, q), m is p * q."""
    (rows, columns), (height, width) = size, mask.shape[2:]
    place = torch.arange(height * width, device=mask.device)
    row, column = place // width, place % width
    down = row[:, None] - row + (rows - 1) // 2
    right = column[:, None] - column + (columns - 1) // 2
    inside = (down >= 0) & (down < rows) & (right >= 0) & (right < columns)
    index = torch.where(inside, down * columns + right, 0)
    flat = mask.flatten(2)
    logits = flat.gather(1, index.expand(len(mask), -1, -1)) * inside.to(mask.dtype)
    return logits if collect else logits.mT


def reference(
    weight: Float[Tensor, "p q d"],
    guide: Float[Tensor, "b d h w"],
    value: Float[Tensor, "b c h w"],
    *,
    collect: bool,
    softmax: bool = True,
) -> Float[Tensor, "b c h w"]:
    """Attention as the equations say."""
    kind = statistics_dtype(value)
    mask = torch.einsum("md,bdhw->bmhw", weight.flatten(0, 1).to(kind), guide.to(kind))
    logits = expand_mask(mask, (weight.shape[0], weight.shape[1]), collect)
    weights = logits.softmax(dim=1) if softmax else logits
    return torch.bmm(value.flatten(2).to(kind), weights).view(value.shape).to(value.dtype)


def skewed_attention(
    weight: Float[Tensor, "p q d"],
    guide: Float[Tensor, "b d h w"],
    value: Float[Tensor, "b c h w"],
    *,
    collect: bool,
    softmax: bool = True,
    max_memory: int | None = None,
) -> Float[Tensor, "b c h w"]:
    """Attention by masks, in memory linear in h * w: neither L nor all masks are ever stored.

    `max_memory` bounds the bytes of the logits that exist at a time: block, weights and one more.
    """
    with full_precision(value):
        chosen = choice.form("skewed_mask", value)
        if chosen in ("plain", "traced"):
            return reference(weight, guide, value, collect=collect, softmax=softmax)
        reach = min(len(weight), value.shape[2]) * min(value.shape[3], 2 * weight.shape[1])
        at_most = blocks.elements(max_memory, statistics_dtype(value), 3, reach)

        def run(most: int | None) -> Tensor:
            lean = functools.partial(_SkewedAttention.apply, most)
            return kernels.either(chosen, "skewed_mask", lean)(
                weight, guide, value, collect, softmax
            )

        return blocks.sparing(run, at_most)


def pixel_logits(
    weight: Float[Tensor, "p q d"],
    guide: Float[Tensor, "b d h w"],
    place: tuple[int, int],
    *,
    collect: bool,
) -> Float[Tensor, "b h w"]:
    """The logits of all sources for the output pixel `place` (row, column) alone."""
    sides, size = guide.shape[2:], weight.shape[:2]
    near, within = zip(*map(_window, place, sides, size), strict=True)
    if collect:
        found = torch.einsum("pqd,bd->bpq", weight[within], guide[:, :, *place])
    else:
        turned = weight.flip(0, 1)[within]
        found = torch.einsum("pqd,bdpq->bpq", turned, guide[:, :, *near])
    (top, left), (height, width) = near, sides
    return F.pad(found, (left.start, width - left.stop, top.start, height - top.stop))


def _window(middle: int, side: int, mask: int) -> tuple[slice, slice]:
    """The part of a line of `side` pixels under a mask around `middle`, and that of the mask."""
    half = (mask - 1) // 2
    near = slice(max(0, middle - half), min(side, middle + half + 1))
    return near, slice(near.start - middle + half, near.stop - middle + half)


class _Run(NamedTuple):
    """Output columns, the source columns that reach them, and the mask columns in between."""

    outputs: slice
    sources: slice
    mask: slice
    first: int
    """The line of the block that the first of these mask columns goes to."""


class _Row(NamedTuple):
    """One output row, the source rows that reach it, and the mask rows in between."""

    output: int
    sources: slice
    mask: slice


class _Step(NamedTuple):
    """One run of one row of some images."""

    images: slice
    run: _Run
    row: _Row


class _Skew:
    """The maps in the layout that the products want, and where each step of the work lies."""

    def __init__(
        self, weight: Tensor, guide: Tensor, value: Tensor, collect: bool, at_most: int | None
    ) -> None:
        kind = statistics_dtype(value)
        # In this order, offsets always run from the output to the source.
        self.weight = weight.to(kind) if collect else weight.to(kind).flip(0, 1)
        self.guide = guide.to(kind).transpose(1, 2).contiguous()  # b h d w
        self.value = value.to(kind).contiguous()
        self.collect, self.at_most = collect, at_most

    def runs(self) -> Iterator[_Run]:
        (rows, columns, _), (height, width) = self.weight.shape, self.value.shape[2:]
        half = (columns - 1) // 2
        widest = width if width <= 2 * columns else max(columns, LEAST_RUN)
        reach = min(rows, height) * min(width, 2 * columns)
        budget, device = blocks.PRODUCT_BLOCK, self.value.device
        for span in blocks.spans(width, reach, budget, device, self.at_most):
            for start in range(span.start, span.stop, widest):
                stop = min(start + widest, span.stop)
                sources = slice(max(0, start - half), min(width, stop + half))
                lowest = sources.start - (stop - 1) + half
                highest = sources.stop - 1 - start + half
                mask = slice(max(0, lowest), min(columns, highest + 1))
                yield _Run(slice(start, stop), sources, mask, mask.start - lowest)

    def steps(self, run: _Run) -> Iterator[_Step]:
        rows, height = len(self.weight), self.value.shape[2]
        for images in blocks.images(self.value):
            for row in range(height):
                yield _Step(images, run, _Row(row, *_window(row, height, rows)))

    def guides(self, step: _Step) -> Tensor:
        """Guides whose masks count: of the outputs, last first, or of the sources, row by row."""
        guide = self.guide[step.images]
        if self.collect:
            return guide[:, step.row.output, :, step.run.outputs].flip(-1)
        return guide[:, step.row.sources, :, step.run.sources]

    def values(self, step: _Step) -> Tensor:
        """Values of the sources, (b, c, source)."""
        return self.value[step.images, :, step.row.sources, step.run.sources].flatten(2)

    def logits(self, step: _Step, weight: Tensor) -> Tensor:
        """L as a view (b, row, source, output), outputs last first; `weight` is the run's part."""
        guides, part = self.guides(step), weight[step.row.mask]
        if self.collect:
            found = torch.matmul(part.flatten(0, 1), guides)
            found = found.reshape(len(guides), *part.shape[:2], -1)
        else:
            found = torch.matmul(part, guides)
        block = self.block(step, guides)
        block[:, :, step.run.first : step.run.first + part.shape[1]] = found
        return self.diagonals(step, block)

    def block(self, step: _Step, guides: Tensor) -> Tensor:
        """Zeros (b, row, line, guide)."""
        (_, run, row), count = step, guides.shape[-1]
        lines = _length(run.sources) + _length(run.outputs) - 1
        return guides.new_zeros(len(guides), _length(row.sources), lines, count)

    def diagonals(self, step: _Step, block: Tensor) -> Tensor:
        """The view (b, row, source, output) of a block, outputs last first."""
        b, rows, lines, count = block.shape
        sources, outputs = _length(step.run.sources), _length(step.run.outputs)
        strides = (count, count + 1) if self.collect else (count + 1, count)
        image = lines * count
        return block.as_strided((b, rows, sources, outputs), (rows * image, image, *strides))

    def outside(self, step: _Step) -> int:
        """How many pixels lie outside of the step's source rows and columns."""
        height, width = self.value.shape[2:]
        return height * width - _length(step.row.sources) * _length(step.run.sources)


class _Rest:
    """Sums of z outside of a step's sources, and the gradients that go back to there."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self.rows = value.sum(dim=3)
        self.d_rows = torch.zeros_like(self.rows)

    def start(self, run: _Run) -> None:
        left, right = self.value[..., : run.sources.start], self.value[..., run.sources.stop :]
        self.sides = left.sum(dim=3) + right.sum(dim=3)
        self.d_sides = torch.zeros_like(self.sides)

    def total(self, step: _Step) -> Tensor:
        """The sum outside, (b, c)."""
        rows, sides = self.rows[step.images], self.sides[step.images]
        above, below = rows[..., : step.row.sources.start], rows[..., step.row.sources.stop :]
        return above.sum(dim=2) + below.sum(dim=2) + sides[..., step.row.sources].sum(dim=2)

    def send(self, step: _Step, grad: Tensor) -> None:
        """Add `grad` (b, c) to the gradient of every pixel outside."""
        d_rows = self.d_rows[step.images]
        d_rows[..., : step.row.sources.start] += grad[:, :, None]
        d_rows[..., step.row.sources.stop :] += grad[:, :, None]
        self.d_sides[step.images, :, step.row.sources] += grad[:, :, None]

    def finish(self, run: _Run, d_value: Tensor) -> None:
        d_value[..., : run.sources.start] += self.d_sides[..., None]
        d_value[..., run.sources.stop :] += self.d_sides[..., None]


class _SkewedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        at_most: int | None,
        weight: Tensor,
        guide: Tensor,
        value: Tensor,
        collect: bool,
        softmax: bool,
    ) -> Tensor:
        skew = _Skew(weight, guide, value, collect, at_most)
        out, rest = torch.empty_like(skew.value), _Rest(skew.value)
        for run in skew.runs():
            part = skew.weight[:, run.mask].contiguous()
            rest.start(run)
            for step in skew.steps(run):
                weights, zero = _weights(skew, step, part, softmax)
                seen = torch.bmm(skew.values(step), weights)
                if zero is not None:
                    seen += rest.total(step)[:, :, None] * zero
                out[step.images, :, step.row.output, run.outputs] = seen.flip(-1)
        ctx.save_for_backward(weight, guide, value, out)
        ctx.options = (collect, softmax, at_most)
        return out.to(value.dtype)

    @staticmethod
    @own_backward
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        weight, guide, value, out = ctx.saved_tensors
        collect, softmax, at_most = ctx.options
        skew = _Skew(weight, guide, value, collect, at_most)
        d_weight, d_guide = torch.zeros_like(skew.weight), torch.zeros_like(skew.guide)
        d_value, rest = torch.zeros_like(skew.value), _Rest(skew.value)
        grad = grad.to(out.dtype)
        along = (grad * out).sum(dim=1)
        for run in skew.runs():
            part = skew.weight[:, run.mask].contiguous()
            d_part = torch.zeros_like(part)
            rest.start(run)
            for step in skew.steps(run):
                at = (step.images, slice(None), step.row.output, run.outputs)
                g, sources = grad[at].flip(-1), (step.row.sources, run.sources)
                weights, zero = _weights(skew, step, part, softmax)
                d_sources = torch.bmm(g, weights.mT)
                slab = d_value[step.images, :, *sources]
                slab += d_sources.view(slab.shape)
                d_logits = torch.bmm(skew.values(step).mT, g)
                if softmax:
                    d_logits -= along[step.images, None, step.row.output, run.outputs].flip(-1)
                    d_logits *= weights
                if zero is not None:
                    rest.send(step, (g * zero).sum(dim=2))
                _send(skew, step, part, d_logits, d_part, d_guide)
            rest.finish(run, d_value)
            d_weight[:, run.mask] += d_part
        d_value += rest.d_rows[..., None]
        d_weight = d_weight if collect else d_weight.flip(0, 1)
        return (
            None,
            d_weight.to(weight.dtype),
            d_guide.transpose(1, 2).to(guide.dtype),
            d_value.to(value.dtype),
            None,
            None,
        )


def _weights(skew: _Skew, step: _Step, part: Tensor, softmax: bool) -> tuple[Tensor, Tensor | None]:
    """Weights (b, source, output) of the step's sources, and (b, 1, output) of any other pixel."""
    logits = skew.logits(step, part)
    weights = logits.new_empty(logits.shape)
    if not softmax:
        return weights.copy_(logits).flatten(1, 2), None
    others = skew.outside(step)
    top = logits.amax(dim=(1, 2), keepdim=True)
    if others:
        top = top.clamp(min=0)
    torch.sub(logits, top, out=weights).exp_()
    total, zero = weights.sum(dim=(1, 2)), (-top).exp()[:, 0, 0]
    total = (total + others * zero)[:, None] if others else total[:, None]
    return weights.flatten(1, 2).div_(total), zero[:, None] / total if others else None


def _send(
    skew: _Skew, step: _Step, part: Tensor, d_logits: Tensor, d_part: Tensor, d_guide: Tensor
) -> None:
    """Add to the gradients of mask weights and guides what comes from the step's logits."""
    guides, weight = skew.guides(step), part[step.row.mask]
    block = skew.block(step, guides)
    view = skew.diagonals(step, block)
    view.copy_(d_logits.view(view.shape))
    lines = block[:, :, step.run.first : step.run.first + weight.shape[1]]
    if skew.collect:
        flat = lines.flatten(1, 2)
        found = torch.bmm(flat, guides.mT).sum(dim=0)
        d_part[step.row.mask] += found.view(weight.shape)
        moved = torch.matmul(weight.flatten(0, 1).T, flat).flip(-1)
        d_guide[step.images, step.row.output, :, step.run.outputs] += moved
    else:
        d_part[step.row.mask] += torch.matmul(lines, guides.mT).sum(dim=0)
        moved = torch.matmul(weight.mT, lines)
        d_guide[step.images, step.row.sources, :, step.run.sources] += moved


def _length(run: slice) -> int:
    return int(run.stop - run.start)
