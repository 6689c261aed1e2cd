"""Labels that overlap over a picture, and how their scores depend on thresholds."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int64
from PIL import Image

from pixelwise.data.classes import Colour
from pixelwise.pictures.colours import IGNORED, line
from pixelwise.pictures.comparison import legend, side_by_side
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.pictures.masks import stripes
from pixelwise.pictures.types import Picture, Sheet
from pixelwise.pictures.values import stacked

_PANEL = 480  # longest side of a panel, pixels
_STRIPE = 6  # width of a stripe, pixels
_TINT = 0.55
Places = Int64[np.ndarray, "_"]
Curve = tuple[Sequence[float], float, float]
"""IoU at each threshold, the threshold that is used, and the IoU there."""


def label_overlay(
    image: Picture,
    labels: Bool[np.ndarray, "k h w"],
    palette: Sequence[Colour],
    unknown: Bool[np.ndarray, "h w"] | None = None,
) -> Picture:
    """A picture in grey, tinted by its labels; where several are, they take turns in stripes.

    Each label has an outline in its colour. Pixels of which nothing is known are striped grey.

    Args:
        image: The picture.
        labels: Where each label is.
        palette: Colour of each label.
        unknown: Where nothing is known.
    """
    height, width = labels.shape[1:]
    colours = np.array(palette, np.float64)[: len(labels)]
    grey = image.mean(2, keepdims=True).repeat(3, axis=2)
    count = labels.sum(0)
    rows, columns = np.ogrid[:height, :width]
    turn = (rows + columns) // _STRIPE % np.maximum(count, 1)
    before = np.cumsum(labels, axis=0) - labels
    mixed = grey
    for label, earlier, colour in zip(labels, before, colours, strict=True):
        here = label & (earlier == turn)
        mixed[here] = (1 - _TINT) * grey[here] + _TINT * colour
    for label, colour in zip(labels, colours, strict=True):
        mixed[_border(label)] = colour
    picture: Picture = mixed.round().astype(np.uint8)
    if unknown is not None:
        picture[unknown] = 255
        picture[unknown & stripes(unknown.shape)] = IGNORED
    return picture


def label_panels(
    image: Picture,
    panels: Mapping[str, tuple[Bool[np.ndarray, "k h w"], Bool[np.ndarray, "h w"]]],
    names: Sequence[str],
    palette: Sequence[Colour],
) -> Sheet:
    """A picture and its labels side by side, with the legend of those that are there.

    Args:
        image: The picture.
        panels: What they are -> where each label is, and where nothing is known.
        names: Of the labels.
        palette: Their colours.
    """
    shown, rows, columns = _resized(image, shrink=True)
    sheets = {"picture": shown}
    present = np.zeros(len(names), bool)
    striped = False
    for title, (labels, unknown) in panels.items():
        large = labels[:, rows][:, :, columns]
        sheets[title] = label_overlay(shown, large, palette, unknown[rows][:, columns])
        present |= labels.any((1, 2))
        striped = striped or bool(unknown.any())
    entries: dict[str, Colour | None] = {
        f"{i} {names[i]}": palette[i] for i in range(len(names)) if present[i]
    }
    if striped:
        entries["not counted"] = None
    return _with_legend(side_by_side(sheets), entries)


def label_sheet(
    image: Picture,
    labels: Bool[np.ndarray, "k h w"],
    names: Sequence[str],
    palette: Sequence[Colour],
    unknown: Bool[np.ndarray, "h w"] | None = None,
) -> Sheet:
    """`label_overlay` with the legend of the labels that are there; small pictures are enlarged."""
    shown, rows, columns = _resized(image, shrink=False)
    hidden = None if unknown is None else unknown[rows][:, columns]
    sheet = label_overlay(shown, labels[:, rows][:, :, columns], palette, hidden)
    present = [bool(label.any()) for label in labels]
    return _with_legend(
        sheet, {f"{i} {names[i]}": palette[i] for i in range(len(names)) if present[i]}
    )


def _resized(image: Picture, *, shrink: bool) -> tuple[Sheet, Places, Places]:
    """A picture at the size of a panel, and which rows and columns of it are shown.

    Small ones are enlarged by a whole factor; large ones stay as they are unless `shrink`.
    """
    height, width = image.shape[:2]
    scale = _PANEL / max(height, width)
    scale = int(scale) if scale >= 1 else scale if shrink else 1
    size = max(1, round(height * scale)), max(1, round(width * scale))
    rows, columns = (
        np.arange(n) * side // n for n, side in zip(size, (height, width), strict=True)
    )
    smooth = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(image).resize(size[::-1], smooth)), rows, columns


def _with_legend(sheet: Sheet, entries: Mapping[str, Colour | None]) -> Sheet:
    if not entries:
        return sheet
    strip = legend(entries, max(sheet.shape[1], _PANEL))
    return stacked([sheet, strip])


def threshold_curves(grid: Sequence[float], labels: Mapping[str, Curve]) -> bytes:
    """IoU by threshold, a line per label with a mark at the threshold that is used."""
    figure = empty_figure(6.4, max(3.6, 0.24 * len(labels)))
    axes = figure.subplots()
    for number, (name, (values, threshold, iou)) in enumerate(labels.items()):
        colour, style = line(number)
        axes.plot(grid, values, color=colour, linestyle=style, label=name)
        axes.plot([threshold], [iou], marker="o", color=colour)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="threshold", ylabel="IoU")
    axes.grid(alpha=0.3)
    if labels:
        texts = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8).get_texts()
        for text in texts:
            text.set_parse_math(False)
    return as_png(figure)


def _border(label: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The pixels of a label beside others."""
    wide = np.pad(label, 1, mode="edge")
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return label & ~inner
