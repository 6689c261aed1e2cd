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

    collect:     block[output, source row, t] = a_output . W[t],  t = source - output + constant
    distribute:  block[source row, source, t] = a_source . W[t],  t = output - source + constant

so that sources, or outputs, follow each other in memory. Zero logits of the run's own source rows
and columns are in the block as well. What lies outside counts as e^0, by one sum of z over it per
row. Weights stay E = e^(L - max) and what they make is divided by their sum s. Backward computes
each block again:

    o = E z / s,   dL = E * (z . g - o . g) / s,   dz += E g / s,   da = W dL,   dW = dL a
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops import kernels
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.running.precision import (
    Gradients,
    full_precision,
    own_backward,
    statistics_dtype,
)

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

    `max_memory` bounds the bytes that exist at a time for the logits, and backward for their
    gradients: a block of each, what is written into it, and the weights.
    """
    with full_precision(value):
        chosen = choice.form("skewed_mask", value)
        if chosen in ("plain", "traced"):
            return reference(weight, guide, value, collect=collect, softmax=softmax)
        reach = min(len(weight), value.shape[2]) * min(value.shape[3], 2 * weight.shape[1])
        at_most = blocks.elements(max_memory, statistics_dtype(value), 5, reach)

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
        # Rows in the order of sources around an output.
        self.weight = weight.to(kind) if collect else weight.to(kind).flip(0)
        self.guide = guide.to(kind).permute(0, 2, 3, 1).contiguous()  # b h w d
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
                outputs = slice(start, min(start + widest, span.stop))
                sources = slice(max(0, start - half), min(width, outputs.stop + half))
                here, there = (outputs, sources) if self.collect else (sources, outputs)
                lowest = there.start - (here.stop - 1) + half
                highest = there.stop - 1 - here.start + half
                mask = slice(max(0, lowest), min(columns, highest + 1))
                yield _Run(outputs, sources, mask, mask.start - lowest)

    def steps(self, run: _Run) -> Iterator[_Step]:
        rows, height = len(self.weight), self.value.shape[2]
        for images in blocks.images(self.value):
            for row in range(height):
                yield _Step(images, run, _Row(row, *_window(row, height, rows)))

    def guides(self, step: _Step, of: Tensor) -> Tensor:
        """The part of `of`, (b, h, w, d), whose masks count: (b, output, d), or all sources."""
        if self.collect:
            return of[step.images, step.row.output, step.run.outputs]
        return of[step.images, step.row.sources, step.run.sources]

    def values(self, step: _Step) -> Tensor:
        """Values of the sources, (b, c, source)."""
        return self.value[step.images, :, step.row.sources, step.run.sources].flatten(2)

    def outside(self, step: _Step) -> int:
        """How many pixels lie outside of the step's source rows and columns."""
        height, width = self.value.shape[2:]
        return height * width - _length(step.row.sources) * _length(step.run.sources)


class _Block:
    """Blocks of one run, made once: what is not written in them stays zero."""

    def __init__(self, skew: _Skew) -> None:
        self.skew, self._space = skew, torch.empty(0)

    def logits(self, step: _Step, weight: Tensor) -> Tensor:
        """L as a view (b, output, row, source) or (b, row, source, output).

        `weight` is the run's part of the mask weights.
        """
        guides, part = self.skew.guides(step, self.skew.guide), weight[step.row.mask]
        block = self._zeros(self._shape(step, len(guides)), guides)
        own = block[..., step.run.first : step.run.first + part.shape[1]]
        # Masks times guides, and not guides times masks, which takes up to twice as long on a CPU.
        if self.skew.collect:
            found = torch.bmm(part.flatten(0, 1).expand(len(guides), -1, -1), guides.mT)
            own.copy_(found.mT.view(own.shape))
        else:
            own.copy_(torch.matmul(part, guides.mT).mT)
        return self._diagonals(step, block)

    def lines(self, step: _Step, d_logits: Tensor, weights: Tensor | None, count: int) -> Tensor:
        """Gradients of the `count` lines of mask columns from those of the logits.

        With weights, from those of the logits divided by them.
        """
        block = self._zeros(self._shape(step, len(d_logits)), d_logits)
        view = self._diagonals(step, block)
        if weights is None:
            view.copy_(d_logits.view(view.shape))
        else:
            torch.mul(d_logits.view(view.shape), weights.view(view.shape), out=view)
        return block[..., step.run.first : step.run.first + count]

    def _shape(self, step: _Step, images: int) -> tuple[int, int, int, int]:
        sources, outputs = _length(step.run.sources), _length(step.run.outputs)
        rows, lines = _length(step.row.sources), sources + outputs - 1
        return (
            (images, outputs, rows, lines) if self.skew.collect else (images, rows, sources, lines)
        )

    def _zeros(self, shape: tuple[int, int, int, int], like: Tensor) -> Tensor:
        if self._space.shape != shape:
            self._space = like.new_zeros(shape)
        return self._space

    def _diagonals(self, step: _Step, block: Tensor) -> Tensor:
        """The view (b, output, row, source), or (b, row, source, output), of a block."""
        b, first, second, lines = block.shape
        sources, outputs = _length(step.run.sources), _length(step.run.outputs)
        image, line = first * second * lines, second * lines
        if self.skew.collect:
            shape, strides = (b, outputs, second, sources), (image, line - 1, lines, 1)
        else:
            shape, strides = (b, first, sources, outputs), (image, line, lines - 1, 1)
        return block.as_strided(shape, strides, shape[1 if self.skew.collect else 2] - 1)


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


class _Weights(NamedTuple):
    """Weights of a step's sources and of any other pixel, and what divides both, by output."""

    inside: Tensor
    """(b, output, source) where the outputs gather, (b, source, output) where sources hand out."""
    outside: Tensor | None
    total: Tensor | None


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
            part, block = skew.weight[:, run.mask].contiguous(), _Block(skew)
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
            d_part, block, d_block = torch.zeros_like(part), _Block(skew), _Block(skew)
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
            None,
            d_weight.to(weight.dtype),
            d_guide.permute(0, 3, 1, 2).to(guide.dtype),
            d_value.to(value.dtype),
            None,
            None,
        )


def _weights(block: _Block, step: _Step, part: Tensor, softmax: bool) -> _Weights:
    logits, skew = block.logits(step, part), block.skew
    weights = logits.new_empty(logits.shape)
    pairs = weights.flatten(2) if skew.collect else weights.flatten(1, 2)
    if not softmax:
        weights.copy_(logits)
        return _Weights(pairs, None, None)
    others, over = skew.outside(step), (2, 3) if skew.collect else (1, 2)
    top = weights.copy_(logits).amax(dim=over, keepdim=True)
    if others:
        top = top.clamp(min=0)
    weights.sub_(top).exp_()
    total, zero = weights.sum(dim=over), (-top).exp().squeeze(over)
    return _Weights(pairs, zero, total + others * zero) if others else _Weights(pairs, None, total)


def _send(
    skew: _Skew, step: _Step, part: Tensor, lines: Tensor, d_part: Tensor, d_guide: Tensor
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


def _length(run: slice) -> int:
    return int(run.stop - run.start)
