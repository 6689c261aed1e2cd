"""Many output rows at a time, for devices on which a call costs more than a row of pixels.

"Here" are the rows whose guides count, outputs or sources, and "there" the others. Each row here
meets those there by as many mask rows, which begin one later for each row further up: all are one
product of overlapping views. Columns are as in `lean_block`:

    block[i, x, j, t] = a_ix . W[j - i, t],     L[i, x, j, y] = block[i, x, j, y - x + constant]

Rows here go from the last to the first, since strides of a view are never negative.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.ops.running import blocks
from pixelwise.ops.running.backward import Gradients, twice_differentiable
from pixelwise.ops.skewed_mask.lean import highest, sums
from pixelwise.ops.skewed_mask.lean_block import Rest
from pixelwise.ops.skewed_mask.lean_steps import LEAST_RUN, Row, Run, Skew, Step, length
from pixelwise.ops.skewed_mask.plain import again


class Rows(NamedTuple):
    """Some output rows, the source rows that reach them, and those here and there."""

    step: Step
    outputs: slice
    here: slice
    there: slice


class RowAttention(torch.autograd.Function):
    """The attention of mask weights, guides and values, many rows at a time."""

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
        """Rows by rows."""
        skew = Skew(weight, guide, value, collect, at_most)
        out, rest = torch.empty_like(skew.value), Rest(skew.value)
        for run in skew.runs():
            rest.start(run)
            for rows in _steps(skew, run):
                block = _Block(skew, rows)
                pairs, outside, total = block.weights(softmax)
                seen = torch.bmm(block.values(), pairs.mT if collect else pairs)
                if outside is not None:
                    seen += rest.total(rows.step)[:, :, None] * outside[:, None]
                if total is not None:
                    seen /= total[:, None]
                block.outputs(out).copy_(block.turned(seen, collect))
        ctx.save_for_backward(weight, guide, value, out)
        ctx.options = (collect, softmax, at_most)
        return out.to(value.dtype)

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """Rows by rows, with each block of logits computed again."""
        weight, guide, value, out = ctx.saved_tensors
        collect, softmax, at_most = ctx.options
        skew = Skew(weight, guide, value, collect, at_most)
        d_weight = torch.zeros_like(weight, dtype=out.dtype)
        d_guide, d_value = torch.zeros_like(skew.guide), torch.zeros_like(skew.value)
        grad, rest = grad.to(out.dtype), Rest(skew.value)
        along = (grad * out).sum(dim=1, keepdim=True)
        for run in skew.runs():
            rest.start(run)
            for rows in _steps(skew, run):
                block = _Block(skew, rows)
                pairs, outside, total = block.weights(softmax)
                g = block.ordered(block.outputs(grad), collect)
                if total is not None:
                    g = g / total[:, None]
                sent = torch.bmm(g, pairs if collect else pairs.mT)
                block.sources(d_value).add_(block.turned(sent, not collect))
                slopes = torch.bmm(g.mT, block.values()) if collect else block.values().mT @ g
                if total is not None:
                    own = block.ordered(block.outputs(along), collect)[:, 0] / total
                    slopes = (slopes - (own[:, :, None] if collect else own[:, None])) * pairs
                if outside is not None:
                    rest.send(rows.step, (g * outside[:, None]).sum(dim=2))
                block.send(slopes, d_weight, d_guide)
            rest.finish(run, d_value)
        d_value += rest.d_rows[..., None]
        return (
            d_weight.to(weight.dtype),
            d_guide.permute(0, 3, 1, 2).to(guide.dtype),
            d_value.to(value.dtype),
            None,
            None,
            None,
        )


def _steps(skew: Skew, run: Run) -> Iterator[Rows]:
    """As many rows, of as many images, as fit a block, and not many more than a mask reaches."""
    mask, (images, _, height, _) = len(skew.weight), skew.value.shape
    half, lines = (mask - 1) // 2, length(run.sources) + length(run.outputs) - 1
    here = length(run.outputs if skew.collect else run.sources)
    limit = blocks.DEVICE_BLOCK if skew.at_most is None else skew.at_most

    def size(count: int) -> int:
        return count * min(height, count + mask - 1) * here * lines

    count = height if height <= 2 * mask else max(mask, LEAST_RUN)
    while count > 1 and size(count) > limit:
        count = (count + 1) // 2
    device = skew.value.device
    for some in blocks.spans(images, size(count), limit, device, limit):
        for start in range(0, height, count):
            outputs = slice(start, min(start + count, height))
            sources = slice(max(0, start - half), min(height, outputs.stop + half))
            both = (outputs, sources) if skew.collect else (sources, outputs)
            yield Rows(Step(some, run, Row(start, sources, slice(0, mask))), outputs, *both)


class _Block:
    """The logits of some rows, and the gradients that go back from them."""

    def __init__(self, skew: Skew, rows: Rows) -> None:
        self._skew, self._rows, self._run = skew, rows, rows.step.run
        run = self._run
        self._columns = run.outputs if skew.collect else run.sources
        here, there = rows.here, rows.there
        weight = skew.weight if skew.collect else skew.weight.flip(0)
        lowest = there.start - (here.stop - 1) + (len(weight) - 1) // 2
        highest = lowest + length(here) + length(there) - 2
        self._inside = slice(max(0, lowest), min(len(weight), highest + 1))
        part = weight[self._inside, run.mask]
        below, above = self._inside.start - lowest, highest + 1 - self._inside.stop
        self._padding = below
        self._part = F.pad(part, (0, 0, 0, 0, below, above)).contiguous()
        guides = skew.guide[rows.step.images, here, self._columns].flip(1)
        self._guides = guides.transpose(0, 1).flatten(1, 2)  # here, images and columns, d

    def weights(self, softmax: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Weights (b, here, there), that of any pixel outside, and what divides both, by output."""
        logits = self._logits()
        if not softmax:
            return self._flat(logits), None, None
        others, over = self._skew.outside(self._rows.step), (3, 4) if self._skew.collect else (1, 2)
        top = highest(logits, others, over)
        weights = (logits - top).exp_()
        outside, total = sums(weights, top, others, over)
        return (
            self._flat(weights),
            None if outside is None else outside.flatten(1),
            total.flatten(1),
        )

    def send(self, slopes: Tensor, d_weight: Tensor, d_guide: Tensor) -> None:
        """Add to the gradients of mask weights and guides what comes from those of the logits."""
        block = self._zeros()
        view = self._diagonals(block)
        view.copy_(slopes.view(view.shape))
        lines = block[..., self._first : self._first + self._part.shape[1]]
        lines = lines.transpose(0, 1).flatten(3).flatten(1, 2)  # as the product was
        found = torch.unflatten(torch.bmm(lines, self._bands()), 1, (len(view), -1))
        d_guide[self._rows.step.images, self._rows.here, self._columns] += found.transpose(
            0, 1
        ).flip(1)
        d_part, there = torch.zeros_like(self._part), length(self._rows.there)
        for i, (own, guides) in enumerate(zip(lines, self._guides, strict=True)):
            d_part[i : i + there].flatten(0, 1).addmm_(own.mT, guides)
        inside = d_part[self._padding : self._padding + length(self._inside)]
        d_weight[self._inside, self._run.mask] += inside

    def values(self) -> Tensor:
        """Values of the sources (b, c, source)."""
        return self.ordered(self.sources(self._skew.value), not self._skew.collect)

    def outputs(self, of: Tensor) -> Tensor:
        """The part of a map (b, c, h, w) that the block's outputs are."""
        return of[self._rows.step.images, :, self._rows.outputs, self._run.outputs]

    def sources(self, of: Tensor) -> Tensor:
        """The part that its sources are."""
        return of[self._rows.step.images, :, self._rows.step.row.sources, self._run.sources]

    def ordered(self, z: Tensor, here: bool) -> Tensor:
        """Pixels of a part (b, c, row, column) in the order of the block."""
        return (z.flip(2) if here else z).flatten(2)

    def turned(self, z: Tensor, here: bool) -> Tensor:
        """The other way round."""
        z = torch.unflatten(z, 2, (length(self._rows.here if here else self._rows.there), -1))
        return z.flip(2) if here else z

    def _logits(self) -> Tensor:
        """L as a view (b, row here, column here, row there, column there)."""
        block, found = self._zeros(), torch.bmm(self._guides, self._bands().mT)
        found = found.view(len(found), len(block), -1, block.shape[3], self._part.shape[1])
        own = block[..., self._first : self._first + self._part.shape[1]]
        own.copy_(found.transpose(0, 1))
        return self._diagonals(block)

    @property
    def _first(self) -> int:
        return self._run.first

    def _bands(self) -> Tensor:
        """The mask rows of each row here, one after the other: (here, there and line, d)."""
        _, lines, d = self._part.shape
        here, there = length(self._rows.here), length(self._rows.there)
        return self._part.as_strided((here, there * lines, d), (lines * d, d, 1))

    def _zeros(self) -> Tensor:
        here, images = length(self._rows.here), self._guides.shape[1] // length(self._columns)
        lines = length(self._run.sources) + length(self._run.outputs) - 1
        sizes = images, here, length(self._columns), length(self._rows.there), lines
        return self._guides.new_zeros(sizes)

    def _diagonals(self, block: Tensor) -> Tensor:
        images, here, columns, there, lines = block.shape
        line = there * lines
        strides = (here * columns * line, columns * line, line - 1, lines, 1)
        shape = (images, here, columns, there, lines - columns + 1)
        return block.as_strided(shape, strides, columns - 1)

    def _flat(self, pairs: Tensor) -> Tensor:
        return pairs.flatten(3).flatten(1, 2)
