"""Where each step of the work lies: a run of output pixels of one row, and what reaches it."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from pixelwise.ops.running import blocks
from pixelwise.ops.running.precision import statistics_dtype
from pixelwise.ops.skewed_mask.plain import mask_window

LEAST_RUN = 32
"""Output columns of a run at least, where the mask is much narrower than the map."""


class Run(NamedTuple):
    """Output columns, the source columns that reach them, and the mask columns in between."""

    outputs: slice
    sources: slice
    mask: slice
    first: int
    """The line of the block that the first of these mask columns goes to."""


class Row(NamedTuple):
    """One output row, the source rows that reach it, and the mask rows in between."""

    output: int
    sources: slice
    mask: slice


class Step(NamedTuple):
    """One run of one row of some images."""

    images: slice
    run: Run
    row: Row


class Skew:
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

    def runs(self) -> Iterator[Run]:
        """Runs of output columns that fit a block."""
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
                yield Run(outputs, sources, mask, mask.start - lowest)

    def steps(self, run: Run) -> Iterator[Step]:
        """The run in every row of every image."""
        rows, height = len(self.weight), self.value.shape[2]
        for images in blocks.images(self.value):
            for row in range(height):
                yield Step(images, run, Row(row, *mask_window(row, height, rows)))

    def guides(self, step: Step, of: Tensor) -> Tensor:
        """The part of `of`, (b, h, w, d), whose masks count: (b, output, d), or all sources."""
        if self.collect:
            return of[step.images, step.row.output, step.run.outputs]
        return of[step.images, step.row.sources, step.run.sources]

    def values(self, step: Step) -> Tensor:
        """Values of the sources, (b, c, source)."""
        return self.value[step.images, :, step.row.sources, step.run.sources].flatten(2)

    def outside(self, step: Step) -> int:
        """How many pixels lie outside of the step's source rows and columns."""
        height, width = self.value.shape[2:]
        return height * width - length(step.row.sources) * length(step.run.sources)


def length(run: slice) -> int:
    """How many rows or columns a run has."""
    return int(run.stop - run.start)
