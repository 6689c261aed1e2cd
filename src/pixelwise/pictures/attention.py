"""Where a network looks: the picture, and its layers' maps side by side."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.pictures.overlays import Panel, draw_overlay, mark_query
from pixelwise.pictures.types import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 10.0  # width of three panels or more beside each other; all lengths are inches
_BAR = 0.84  # of a panel's width, for its colour bar with numbers and unit
_HEAD = 0.46  # above a panel, for two lines of title
_GAP = 0.14
_LONGEST = 800  # of a picture's sides, in pixels: a panel has no more


@dataclass(frozen=True)
class Parts:
    """What one map is made of, as smaller panels."""

    title: str
    panels: tuple[Panel, ...]


def attention_panels(
    image: Picture,
    at: tuple[int, int],
    answer: str | None,
    panels: Sequence[Panel],
    parts: Sequence[Parts] = (),
) -> bytes:
    """The picture with the query marked, then one overlay per map, in rows.

    Colours end at the 99.5th percentile of a map's values other than 0; where values lie beyond,
    the colour bar ends in an arrow. Values that differ by less than a tenth share a few colours.

    Args:
        image: The picture.
        at: (row, column) of the query in it, marked by a cross.
        answer: What was predicted there; above the picture. None leaves the picture out.
        panels: The maps.
        parts: What maps are made of, below them: a row or more of smaller panels each.
    """
    image, scale = _fit(image)
    at = (round((at[0] + 0.5) * scale - 0.5), round((at[1] + 0.5) * scale - 0.5))
    height, width = image.shape[:2]
    cells: list[Panel | None] = [*([] if answer is None else [None]), *panels]
    most = 2 if width > 2.2 * height else 4 if height > 1.4 * width else 3
    blocks = [_Block("", cells, most), *(_Block(p.title, p.panels, most + 1) for p in parts)]
    heights = [block.height(height / width) for block in blocks]
    total = max(block.width for block in blocks)
    figure = empty_figure(total, sum(heights))
    figure.set_layout_engine("none")
    top = 0.0
    for block, tall in zip(blocks, heights, strict=True):
        if block.title:
            y = 1 - (top + 2 * _GAP) / sum(heights)
            style: dict[str, Any] = {"fontsize": 10, "weight": "bold", "va": "center"}
            figure.text(_GAP / total, y, block.title, parse_math=False, **style)
        for i, cell in enumerate(block.cells):
            left, down, wide, high = block.place(i, height / width)
            frame = (left / total, 1 - (top + down + high) / sum(heights))
            axes = figure.add_axes((*frame, wide / total, high / sum(heights)))
            _draw(axes, image, scale, cell, answer or "", letters=round(wide * 15))
            mark_query(axes, at)
        top += tall
    return as_png(figure)


@dataclass(frozen=True)
class _Block:
    """Panels in rows; None is the picture itself."""

    title: str
    cells: Sequence[Panel | None]
    columns: int

    @property
    def width(self) -> float:
        return _GAP + min(self.columns, max(1, len(self.cells))) * self._cell

    def height(self, aspect: float) -> float:
        rows = -(-len(self.cells) // self.columns)
        return self._above + rows * self._row(aspect) + _GAP

    def place(self, i: int, aspect: float) -> tuple[float, float, float, float]:
        """Left, top, width and height of the i-th picture within the block."""
        row, column = divmod(i, self.columns)
        wide = self._cell - _GAP - _BAR
        down = self._above + row * self._row(aspect) + _HEAD
        return _GAP + column * self._cell, down, wide, wide * aspect

    @property
    def _cell(self) -> float:
        return (_ROW - _GAP) / self.columns

    @property
    def _above(self) -> float:
        return 3 * _GAP if self.title else 0.0

    def _row(self, aspect: float) -> float:
        return _HEAD + (self._cell - _GAP - _BAR) * aspect + _GAP


def _fit(image: Picture) -> tuple[Picture, float]:
    """The picture no larger than panels are, and by what its sides were multiplied."""
    scale = min(1.0, _LONGEST / max(image.shape[:2]))
    if scale == 1:
        return image, scale
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX)), scale


def _draw(
    axes: "Axes", image: Picture, scale: float, panel: Panel | None, answer: str, letters: int
) -> None:
    if panel is None:
        axes.imshow(image)
        title = answer
    else:
        if panel.covers is not None:
            rows, columns = panel.covers
            panel = dataclasses.replace(panel, covers=(rows * scale, columns * scale))
        draw_overlay(axes, image, panel)
        title = shortened(panel.title, letters) + (f"\n{panel.note}" if panel.note else "")
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.set_axis_off()


def shortened(name: str, letters: int) -> str:
    """A name of at most so many letters, its beginning left out."""
    return name if len(name) <= letters else "…" + name[1 - letters :].lstrip(".")
