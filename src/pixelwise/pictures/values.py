"""Values in colour, with a colour bar, and how their bias depends on them."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from pixelwise.pictures.colours import IGNORED, LINES
from pixelwise.pictures.comparison import side_by_side
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.pictures.masks import stripes
from pixelwise.pictures.types import Picture, Sheet

_PANEL = 480  # longest side of a panel, pixels
_BAR = 24  # width of a colour bar, pixels
_TEXT = 18  # height of its numbers, pixels
Ranges = Sequence[tuple[float, float, int, float | None]]
"""(from, to, pixels, bias), in rising order."""


def shaded(values: Float[np.ndarray, "h w"], ends: tuple[float, float]) -> Picture:
    """Values as colours from dark to light; striped grey where there is none.

    Args:
        values: NaN where there is none.
        ends: The values of the first and the last colour; those beyond have the same.
    """
    from matplotlib import colormaps

    low, high = ends
    known = np.isfinite(values)
    share = np.clip((np.where(known, values, low).astype(np.float64) - low) / (high - low), 0, 1)
    table = (255 * colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]).round().astype(np.uint8)
    picture = np.asarray(table[(255 * share).round().astype(np.intp)])
    picture[~known] = 255
    picture[~known & stripes(values.shape)] = IGNORED
    return picture


def colour_bar(ends: tuple[float, float], label: str, height: int) -> Sheet:
    """The colours of `shaded` from top (high) to bottom, with numbers; as wide as its label."""
    from matplotlib.ticker import MaxNLocator

    low, high = ends
    font = ImageFont.load_default(_TEXT)
    marks = [
        mark
        for mark in MaxNLocator(max(1, min(6, height // 40))).tick_values(low, high)
        if low <= mark <= high
    ]
    texts = [f"{mark:.6g}" for mark in marks]
    widest = max((font.getlength(text) for text in texts), default=0)
    # The label stands above the bar in larger letters.
    width = round(max(_BAR + 12 + widest, 1.4 * font.getlength(label))) + 6
    bar = Image.new("RGB", (width, height), "white")
    levels = np.linspace(high, low, height)[:, None].repeat(_BAR, axis=1)
    bar.paste(Image.fromarray(shaded(levels, ends)), (0, 0))
    draw = ImageDraw.Draw(bar)
    draw.rectangle((0, 0, _BAR - 1, height - 1), outline="black")
    for mark, text in zip(marks, texts, strict=True):
        row = round((high - mark) / (high - low) * (height - 1))
        draw.line((_BAR, row, _BAR + 6, row), fill="black")
        top = min(max(0, row - _TEXT // 2 - 2), height - _TEXT - 4)
        draw.text((_BAR + 10, top), text, fill="black", font=font)
    return np.array(bar)


def value_panels(
    image: Picture,
    maps: Mapping[str, Float[np.ndarray, "h w"]],
    ends: tuple[float, float],
    label: str,
    *,
    longest: int = _PANEL,
) -> Sheet:
    """A picture and maps of values side by side, with one colour bar.

    Args:
        image: The picture.
        maps: Values by what they are; NaN where there is none.
        ends: The values of the first and the last colour.
        label: What the values are, with their unit.
        longest: Longest side of each panel; small pictures are enlarged by a whole factor.
    """
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    scale = max(1, int(min(scale, _PANEL / max(height, width)))) if scale >= 1 else scale
    rows = np.arange(max(1, round(height * scale))) * height // max(1, round(height * scale))
    columns = np.arange(max(1, round(width * scale))) * width // max(1, round(width * scale))
    panels = {"picture": image[rows][:, columns]}
    for name, values in maps.items():
        panels[name] = shaded(values[rows][:, columns], ends)
    panels[label] = colour_bar(ends, label, len(rows))
    return side_by_side(panels)


def stacked(sheets: Sequence[Sheet]) -> Sheet:
    """Sheets below each other on white."""
    width = max(sheet.shape[1] for sheet in sheets)
    return np.concatenate(
        [
            np.pad(sheet, ((0, 0), (0, width - sheet.shape[1]), (0, 0)), constant_values=255)
            for sheet in sheets
        ]
    )


def bias_chart(bands: Mapping[str, Ranges]) -> bytes:
    """Mean error per range of true values, a panel per band.

    Args:
        bands: What a band is, with its unit -> its ranges.
    """
    figure = empty_figure(6.4, 3.0 * len(bands))
    panels = figure.subplots(len(bands), 1, squeeze=False)[:, 0]
    for axes, (label, ranges) in zip(panels, bands.items(), strict=True):
        heights = [np.nan if bias is None else bias for *_, bias in ranges]
        colour = [channel / 255 for channel in LINES[0]]
        axes.bar(range(len(ranges)), heights, color=colour, width=0.9)
        inner = [f"{high:.3g}" for _, high, *_ in ranges[:-1]]
        axes.set_xticks(np.arange(len(inner)) + 0.5, inner, fontsize=8)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlabel(f"true {label}", parse_math=False)
        axes.set_ylabel("mean of prediction - truth")
        axes.grid(alpha=0.3, axis="y")
    return as_png(figure)
