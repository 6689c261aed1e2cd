"""Logits as the diagonals of a block, and what lies outside of the block.

Mask rows times guides are one matrix product; written line by line into a block, the logits of
all sources and outputs are a view of it with other strides:

    collect:     block[output, source row, t] = a_output . W[t],  t = source - output + constant
    distribute:  block[source row, source, t] = a_source . W[t],  t = output - source + constant

so that sources, or outputs, follow each other in memory. Zero logits of the run's own source rows
and columns are in the block as well. What lies outside counts as e^0, by one sum of z over it per
row.
"""

import torch
from torch import Tensor

from pixelwise.ops.skewed_mask.lean_steps import Run, Skew, Step, length


class SkewBlock:
    """Blocks of one run, made once: what is not written in them stays zero."""

    def __init__(self, skew: Skew) -> None:
        self.skew, self._space = skew, torch.empty(0)

    def logits(self, step: Step, weight: Tensor) -> Tensor:
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

    def lines(self, step: Step, d_logits: Tensor, weights: Tensor | None, count: int) -> Tensor:
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

    def _shape(self, step: Step, images: int) -> tuple[int, int, int, int]:
        sources, outputs = length(step.run.sources), length(step.run.outputs)
        rows, lines = length(step.row.sources), sources + outputs - 1
        return (
            (images, outputs, rows, lines) if self.skew.collect else (images, rows, sources, lines)
        )

    def _zeros(self, shape: tuple[int, int, int, int], like: Tensor) -> Tensor:
        if self._space.shape != shape:
            self._space = like.new_zeros(shape)
        return self._space

    def _diagonals(self, step: Step, block: Tensor) -> Tensor:
        """The view (b, output, row, source), or (b, row, source, output), of a block."""
        b, first, second, lines = block.shape
        sources, outputs = length(step.run.sources), length(step.run.outputs)
        image, line = first * second * lines, second * lines
        if self.skew.collect:
            shape, strides = (b, outputs, second, sources), (image, line - 1, lines, 1)
        else:
            shape, strides = (b, first, sources, outputs), (image, line, lines - 1, 1)
        return block.as_strided(shape, strides, shape[1 if self.skew.collect else 2] - 1)


class Rest:
    """Sums of z outside of a step's sources, and the gradients that go back to there."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self.rows = value.sum(dim=3)
        self.d_rows = torch.zeros_like(self.rows)

    def start(self, run: Run) -> None:
        """Begin a run: its source columns count as inside."""
        left, right = self.value[..., : run.sources.start], self.value[..., run.sources.stop :]
        self.sides = left.sum(dim=3) + right.sum(dim=3)
        self.d_sides = torch.zeros_like(self.sides)

    def total(self, step: Step) -> Tensor:
        """The sum outside, (b, c)."""
        rows, sides = self.rows[step.images], self.sides[step.images]
        above, below = rows[..., : step.row.sources.start], rows[..., step.row.sources.stop :]
        return above.sum(dim=2) + below.sum(dim=2) + sides[..., step.row.sources].sum(dim=2)

    def send(self, step: Step, grad: Tensor) -> None:
        """Add `grad` (b, c) to the gradient of every pixel outside."""
        d_rows = self.d_rows[step.images]
        d_rows[..., : step.row.sources.start] += grad[:, :, None]
        d_rows[..., step.row.sources.stop :] += grad[:, :, None]
        self.d_sides[step.images, :, step.row.sources] += grad[:, :, None]

    def finish(self, run: Run, d_value: Tensor) -> None:
        """Add to `d_value` what its steps sent to other columns of their rows."""
        d_value[..., : run.sources.start] += self.d_sides[..., None]
        d_value[..., run.sources.stop :] += self.d_sides[..., None]
