"""Named points over a picture, and how far they are from their labels."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from pixelwise.pictures.colours import LINES, line
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.pictures.types import Picture, Sheet

SMALL = 320
"""Pictures with a longer side below this are enlarged, so that marks do not hide them."""
_MANY = 12


def with_points(
    image: Picture, points: Float[np.ndarray, "k 2"], edges: Sequence[tuple[int, int]] = ()
) -> Sheet:
    """The picture with lines and numbered points, enlarged where it is small.

    Args:
        image: The picture.
        points: (x, y) in its pixels, the centre of the first at (0.5, 0.5); NaN is left out.
        edges: Numbers of points that a line joins.
    """
    zoom = max(1, round(SMALL / max(image.shape[:2])))
    canvas = Image.fromarray(image)
    canvas = canvas.resize((canvas.width * zoom, canvas.height * zoom), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    places = points * zoom
    radius = max(2.5, max(canvas.size) / 160)
    for first, second in edges:
        ends = [tuple(places[first]), tuple(places[second])]
        if np.isfinite(ends).all():
            draw.line(ends, fill=(0, 0, 0), width=round(radius))
            draw.line(ends, fill=(255, 255, 255), width=max(1, round(radius / 2)))
    for number, (x, y) in enumerate(places):
        if np.isfinite(x) and np.isfinite(y):
            box = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(box, fill=LINES[number % len(LINES)], outline=(255, 255, 255))
            draw.text(
                (x + radius + 1, y - 2 * radius),
                str(number),
                fill=(255, 255, 255),
                stroke_width=1,
                stroke_fill=(0, 0, 0),
            )
    return np.asarray(canvas)


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
