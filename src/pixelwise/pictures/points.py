"""Named points over a picture, and how far they are from their labels."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from pixelwise.data.classes import Colour
from pixelwise.pictures.colours import LINES, line
from pixelwise.pictures.comparison import legend, side_by_side
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.pictures.types import Picture, Sheet

SMALL = 480
"""Pictures with a longer side below this are enlarged, so that marks do not hide them."""
TILE = 300
"""Sides of a tile on a sheet, pixels."""
TEXT = 20
"""Height of a line of its text."""
MOST_PANELS = 23
_MANY = 12
Edges = Sequence[tuple[int, int]]


def with_points(
    image: Picture,
    points: Float[np.ndarray, "*figures k 2"],
    edges: Edges = (),
    names: Sequence[str] = (),
    zoom: int | None = None,
) -> Sheet:
    """The picture with lines and numbered points, enlarged where it is small.

    Args:
        image: The picture.
        points: (x, y) in its pixels, the centre of the first at (0.5, 0.5); NaN is left out.
        edges: Numbers of points that a line joins.
        names: Of the points, for a legend below the picture.
        zoom: How much it is enlarged; None: by its size.
    """
    zoom = zoom or max(1, round(SMALL / max(image.shape[:2])))
    canvas = _resized(image, image.shape[1] * zoom, image.shape[0] * zoom)
    draw = ImageDraw.Draw(canvas)
    radius = max(3.5, max(canvas.size) / 150)
    for places in points.reshape(-1, *points.shape[-2:]) * zoom:
        _lines(draw, places, edges, radius)
        _dots(draw, places, radius)
    return _with_legend(np.asarray(canvas), names)


def points_beside(
    image: Picture,
    truth: Float[np.ndarray, "k 2"],
    predicted: Float[np.ndarray, "k 2"],
    edges: Edges,
    names: Sequence[str],
) -> Sheet:
    """Truth, prediction, and the way from each label (ring) to its prediction (dot)."""
    zoom = max(1, round(SMALL / max(image.shape[:2])))
    wide, high = image.shape[1] * zoom, image.shape[0] * zoom
    way = _resized(image, wide, high)
    _ways(ImageDraw.Draw(way), truth * zoom, predicted * zoom, max(3.5, max(way.size) / 150))
    row = side_by_side(
        {
            "truth": with_points(image, truth, edges),
            "prediction": with_points(image, predicted, edges),
            "label (ring) to prediction": np.asarray(way),
        }
    )
    return _with_legend(row, names)


def point_tile(
    image: Picture,
    truth: Float[np.ndarray, "k 2"],
    predicted: Float[np.ndarray, "k 2"],
    edges: Edges,
    lines: Sequence[str],
) -> Sheet:
    """One figure cut out of its picture, with the way from labels to predictions, and text."""
    height, width = image.shape[:2]
    places = np.concatenate([truth, predicted])
    places = places[np.isfinite(places).all(axis=1)]
    low, high = places.min(axis=0), places.max(axis=0)
    side = min(max(1.3 * float((high - low).max()), 48.0), float(max(height, width)))
    centre = (low + high) / 2
    left, top = (
        round(min(max(c - side / 2, 0), max(0, full - side)))
        for c, full in zip(centre, (width, height), strict=True)
    )
    part = image[top : top + math.ceil(side), left : left + math.ceil(side)]
    zoom = TILE / max(part.shape[:2])
    canvas = _resized(part, *(max(1, round(n * zoom)) for n in part.shape[1::-1]))
    draw, shift = ImageDraw.Draw(canvas), np.array([left, top])
    ends = [(p - shift) * zoom for p in (truth, predicted)]
    _lines(draw, ends[0], edges, 2.0)
    _ways(draw, ends[0], ends[1], 4.5)
    sheet = Image.new("RGB", (TILE, TILE + TEXT * len(lines) + 6), "white")
    sheet.paste(canvas, ((TILE - canvas.width) // 2, (TILE - canvas.height) // 2))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT - 5)
    for i, told in enumerate(lines):
        pen.text((2, TILE + 2 + TEXT * i), _shortened(told, font), fill="black", font=font)
    return np.asarray(sheet)


def point_sheet(tiles: Sequence[Sheet], names: Sequence[str], columns: int = 4) -> Sheet:
    """Tiles in rows, and below them which colour is which point."""
    gap = 10
    columns = min(columns, len(tiles))
    high, wide = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (high + gap), columns * (wide + gap), 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (high + gap), i % columns * (wide + gap)
        sheet[top : top + high, left : left + wide] = tile
    return _with_legend(sheet, names, "label (ring) to prediction (dot)")


def _resized(image: Picture, width: int, height: int) -> Image.Image:
    smooth = Image.Resampling.BICUBIC if width >= image.shape[1] else Image.Resampling.LANCZOS
    return Image.fromarray(np.ascontiguousarray(image)).resize((width, height), smooth)


def _with_legend(sheet: Sheet, names: Sequence[str], title: str = "") -> Sheet:
    if not names:
        return sheet
    entries: dict[str, Colour | None] = {
        f"{i} {name}": LINES[i % len(LINES)] for i, name in enumerate(names)
    }
    width = max(sheet.shape[1], 320)
    wide = np.full((len(sheet), width, 3), 255, np.uint8)
    wide[:, : sheet.shape[1]] = sheet
    parts = [wide, legend(entries, width)]
    if title:
        strip = Image.new("RGB", (width, TEXT + 4), "white")
        font = ImageFont.load_default(TEXT - 5)
        ImageDraw.Draw(strip).text((2, 2), title, fill="black", font=font)
        parts.insert(1, np.asarray(strip))
    return np.concatenate(parts)


def _lines(draw: ImageDraw.ImageDraw, places: np.ndarray, edges: Edges, radius: float) -> None:
    for first, second in edges:
        ends = [tuple(places[first]), tuple(places[second])]
        if np.isfinite(ends).all():
            draw.line(ends, fill=(0, 0, 0), width=max(2, round(radius)))
            draw.line(ends, fill=(255, 255, 255), width=max(1, round(radius / 2)))


def _dots(draw: ImageDraw.ImageDraw, places: np.ndarray, radius: float) -> None:
    size = max(10, round(3 * radius))
    for number, (x, y) in enumerate(places):
        if np.isfinite(x) and np.isfinite(y):
            box = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(box, fill=LINES[number % len(LINES)], outline=(255, 255, 255))
            _number(draw, number, x + radius + 1, y - 2 * radius, size)


def _number(draw: ImageDraw.ImageDraw, number: int, x: float, y: float, size: int) -> None:
    """A number in white with a black border, readable on anything."""
    font = ImageFont.load_default(size)
    draw.text((x, y), str(number), fill="white", font=font, stroke_width=1, stroke_fill="black")


def _ways(
    draw: ImageDraw.ImageDraw, truth: np.ndarray, predicted: np.ndarray, radius: float
) -> None:
    """A ring at each label, a dot at each prediction, a line between; a cross: not found."""
    for number, (label, found) in enumerate(zip(truth, predicted, strict=True)):
        colour = LINES[number % len(LINES)]
        if not np.isfinite(label).all():
            continue
        x, y = label
        if np.isfinite(found).all():
            draw.line([(x, y), tuple(found)], fill=(255, 255, 255), width=4)
            draw.line([(x, y), tuple(found)], fill=colour, width=2)
            dot = (*(found - radius), *(found + radius))
            draw.ellipse(dot, fill=colour, outline=(255, 255, 255))
        outer = radius + 2
        draw.ellipse((x - outer, y - outer, x + outer, y + outer), outline=(255, 255, 255), width=4)
        ring = radius + 1
        draw.ellipse((x - ring, y - ring, x + ring, y + ring), outline=colour, width=2)
        if not np.isfinite(found).all():
            for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 2)):
                for sign in (-1, 1):
                    ends = [(x - ring, y - sign * ring), (x + ring, y + sign * ring)]
                    draw.line(ends, fill=colour, width=width)
        _number(draw, number, x + ring + 1, y - ring - 4, 11)


def _shortened(text: str, font: Any) -> str:
    """The text, its middle left out where it is wider than a tile."""
    cut = text
    while font.getlength(cut) > TILE - 4 and len(cut) > 5:
        half = (len(cut) - 2) // 2
        cut = f"{cut[:half].rstrip('.')}...{cut[-half + 1 :].lstrip('.')}" if half > 2 else cut[:5]
    return cut


def error_curves(distance: Float[np.ndarray, "n k"], names: Sequence[str]) -> bytes:
    """The share of labels within so many pixels, per point; what was not found never is."""
    figure = empty_figure(6.4, 4.0)
    axes = figure.subplots()
    known = distance[np.isfinite(distance)]
    most = max(1.0, float(np.quantile(known, 0.98))) if known.size else 1.0
    radii = np.linspace(0, most, 101)
    curves = dict(enumerate(names)) if len(names) <= _MANY else {}
    for number, name in [*curves.items(), (len(names), "all")]:
        last, (colour, style) = number == len(names), line(number)
        found = distance if last else distance[:, number]
        found = found[~np.isnan(found)]
        if not found.size:
            continue
        shares = [100 * float((found <= radius).mean()) for radius in radii]
        axes.plot(
            radii,
            shares,
            color="black" if last else colour,
            linewidth=2.2 if last else 1.2,
            linestyle="-" if last else style,
            label=name,
        )
    axes.set_xlabel("distance from the label, pixels")
    axes.set_ylabel("share of labels, %")
    axes.set_ylim(0, 101)
    axes.set_xlim(0, most)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    return as_png(figure)


def error_histograms(distance: Float[np.ndarray, "n k"], names: Sequence[str]) -> bytes:
    """How many labels are how far from their predictions: of all points, and of each.

    The last bar holds all that is farther; what was not found is told in the title.
    """
    known = distance[np.isfinite(distance)]
    most = max(1.0, float(np.quantile(known, 0.98))) if known.size else 1.0
    edges = np.linspace(0, most, 21)
    chosen = list(enumerate(names))
    if len(names) > MOST_PANELS:
        means = np.nanmean(np.where(np.isfinite(distance), distance, np.nan), axis=0)
        worst = np.argsort(-np.nan_to_num(means, nan=-1.0), kind="stable")[:MOST_PANELS]
        chosen = [(i, names[i]) for i in sorted(worst.tolist())]
    panels = [("all points", None), *((name, i) for i, name in chosen)]
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = empty_figure(3.0 * columns, 2.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, (title, number) in zip(grid.flat, panels, strict=False):
        found = distance if number is None else distance[:, number]
        found = found[~np.isnan(found)]
        near = found[np.isfinite(found)]
        colour = "black" if number is None else line(number)[0]
        axes.hist(np.minimum(near, most), bins=edges, color=colour)
        told = f"{title}: {found.size} labels"
        if near.size < found.size:
            told += f", {found.size - near.size} not found"
        axes.set_title(told, fontsize=8, parse_math=False)
        if near.size:
            middle = float(np.median(near))
            axes.axvline(min(middle, most), color="grey", linestyle="--", linewidth=1)
            axes.yaxis.get_major_locator().set_params(integer=True)
            axes.text(
                0.97, 0.93, f"median {middle:.3g} px", ha="right", va="top", fontsize=7,
                transform=axes.transAxes,
            )  # fmt: skip
        axes.tick_params(labelsize=7)
        axes.set_xlim(0, most)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel(
        f"distance from the label, pixels; the last bar: {edges[-2]:.3g} or more", fontsize=8
    )
    figure.supylabel("labels", fontsize=8)
    return as_png(figure)
