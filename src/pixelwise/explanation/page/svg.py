"""Vector drawings of a page: maps over a picture that is in the page once, and curves.

<svg class="store">   the pictures, and a cross for each asked pixel
<svg class="map">     picture + map + cross, by reference
"""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from pixelwise.explanation.page.tints import Tint
from pixelwise.language import translate

LONGEST = 1280
"""Of a shared picture's sides, in pixels."""
LOSSLESS = 1 << 16
"""Pixels up to which a shared picture is written as PNG; from there on as JPEG."""
STYLE = """
svg.store { position: absolute; width: 0; height: 0; }
.maps { display: grid; gap: 1.1rem; margin: 1rem 0 .2rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.maps.small { gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
svg.map, svg.curve { display: block; width: 100%; height: auto; border-radius: .3rem; }
svg.map { border: 1px solid var(--line); background: #fff; max-height: 34rem; }
svg.map .t { opacity: .65; }
svg.map .s { opacity: .85; image-rendering: pixelated; }
.q { fill: none; vector-effect: non-scaling-stroke; stroke: #000; stroke-width: 4; }
.q + .q { stroke: #fff; stroke-width: 1.8; }
.r { fill: none; vector-effect: non-scaling-stroke; stroke: #000; stroke-width: 3; }
.r + .r { stroke: #fff; stroke-width: 1.4; }
svg.curve { color: var(--ink); overflow: visible; }
svg.curve .a { stroke: var(--accent); stroke-width: 2; fill: none; }
svg.curve circle { fill: var(--accent); }
svg.curve text { font-size: 9px; fill: currentColor; }
.maps figcaption { text-align: left; font-size: .84rem; line-height: 1.4; }
.maps figcaption b { display: block; color: var(--ink); overflow-wrap: anywhere; }
.maps figcaption span { display: block; }
.maps details { margin-top: .3rem; font-size: .84rem; }
summary { cursor: pointer; color: var(--accent); }
details[open] { grid-column: 1 / -1; }
figure:has(> details[open]) { grid-column: 1 / -1; }
figure:has(> details[open]) > svg.map { max-width: 22rem; }
dl.scale { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: .8rem 0 0; font-size: .9rem; }
dl.scale div { flex: 0 1 20rem; }
dl.scale dd { margin: 0; color: var(--soft); }
dl.scale img { display: block; width: 100%; height: .9rem; border: 1px solid var(--line);
  image-rendering: pixelated; }
@media print {
  .maps { grid-template-columns: repeat(3, 1fr); }
  .maps.small { grid-template-columns: repeat(6, 1fr); }
  svg.map { max-height: 12rem; }
}
"""


def embedded(content: bytes, kind: str = "png") -> str:
    """A data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def stored(name: str, picture: UInt8[ndarray, "h w 3"]) -> str:
    """The picture as `#NAME`, and in pale grey, to lie below a map, as `#NAME-grey`."""
    height, width = picture.shape[:2]
    grey = ((picture.mean(2) + 60) * (255 / 375)).round().astype(np.uint8)
    return "".join(
        f'<image id="{name}{ending}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none" href="{_compressed(array)}"/>'
        for ending, array in (("", picture), ("-grey", grey))
    )


def _compressed(array: UInt8[ndarray, "..."]) -> str:
    picture = Image.fromarray(array)
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    lossless = picture.width * picture.height <= LOSSLESS
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if lossless else "JPEG", **({} if lossless else {"quality": 85}))
    return embedded(buffer.getvalue(), "png" if lossless else "jpeg")


def cross(name: str, at: tuple[int, int], size: Sequence[int]) -> str:
    """A cross at a pixel as `#NAME`; its middle is open, and it shows on light and dark."""
    y, x = (place + 0.5 for place in at)
    arm = max(size) / 26
    strokes = "".join(
        f"M{x + a * arm:.2f} {y + b * arm:.2f}L{x + 0.3 * a * arm:.2f} {y + 0.3 * b * arm:.2f}"
        for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1))
    )
    return f'<g id="{name}"><path class="q" d="{strokes}"/><path class="q" d="{strokes}"/></g>'


def picture_with_cross(name: str, mark: str, size: Sequence[int], label: str) -> str:
    """The stored picture in its colours with the asked pixel marked."""
    return _map(size, label, f'<use href="#{name}"/><use href="#{mark}"/>')


def overlaid(
    name: str,
    mark: str,
    size: Sequence[int],
    tint: Tint,
    *,
    label: str,
    covers: tuple[float, float] | None = None,
    circles: Sequence[tuple[tuple[int, int], float]] = (),
) -> str:
    """A map over the stored picture in grey.

    Args:
        name: Of the picture.
        mark: Of the cross.
        size: Rows and columns of the picture.
        tint: The map.
        label: What is to be seen, for those who cannot see it.
        covers: Rows and columns of the picture that the map lies on; None is the picture.
        circles: Centre (row, column) and radius of each, in pixels.
    """
    rows, columns = covers or size
    rings = "".join(
        f'<circle class="r" cx="{at[1] + 0.5}" cy="{at[0] + 0.5}" r="{radius:.2f}"/>' * 2
        for at, radius in circles
    )
    return _map(
        size,
        label,
        f'<use href="#{name}-grey"/><image class="{"s" if tint.sparse else "t"}" '
        f'width="{columns:g}" height="{rows:g}" preserveAspectRatio="none" '
        f'href="{embedded(tint.png)}"/>{rings}<use href="#{mark}"/>',
    )


def _map(size: Sequence[int], label: str, inside: str) -> str:
    return (
        f'<svg class="map" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {size[1]} {size[0]}">{inside}</svg>'
    )


def curves(
    shares: Sequence[float],
    attended: Sequence[float],
    random: Sequence[Sequence[float]],
    *,
    marked: float,
    label: str,
) -> str:
    """The prediction's probability while pixels are deleted: by a map, and in random orders.

    Args:
        shares: Of the pixels, from 0 to 1; drawn at equal distances.
        attended: Probabilities, the most attended pixels deleted first.
        random: The same for each random order; drawn as a band from least to most, and their mean.
        marked: One of the shares, to draw a line at.
        label: What is to be seen, for those who cannot see it.
    """
    top = max(*attended, *(p for order in random for p in order), 1e-3)
    xs = np.linspace(34, 290, len(shares))

    def line(values: Float[ndarray, " n"], places: Float[ndarray, " n"] = xs) -> str:
        ys = 10 + 110 * (1 - values / top)
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(places, ys, strict=True))

    orders = np.asarray(random, float)
    band = line(
        np.concatenate([orders.min(0), orders.max(0)[::-1]]), np.concatenate([xs, xs[::-1]])
    )
    drawn = line(np.asarray(attended, float))
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.6"/>'
        for x, y in (pair.split(",") for pair in drawn.split(" "))
    )
    at = xs[list(shares).index(marked)]
    ticks = "".join(
        f'<text x="{x:.1f}" y="133" text-anchor="middle">{100 * share:g}</text>'
        for x, share in zip(xs, shares, strict=True)
    )
    axis = "".join(
        f'<text x="30" y="{y + 3}" text-anchor="end">{value:.2g}</text>'
        f'<path d="M34 {y}H290" stroke="currentColor" stroke-opacity=".25"/>'
        for y, value in ((10, top), (65, top / 2), (120, 0.0))
    )
    across = escape(translate("pixels deleted, % (across), probability (up)"))
    return (
        f'<svg class="curve" role="img" aria-label="{escape(label)}" viewBox="0 0 300 150">{axis}'
        f'<polygon points="{band}" fill="#8a8a8a" fill-opacity=".45"/>'
        f'<polyline points="{line(orders.mean(0))}" fill="none" stroke="currentColor" '
        f'stroke-width="1.5" stroke-dasharray="5 3"/>'
        f'<path d="M{at:.1f} 10V120" stroke="currentColor" stroke-opacity=".6" '
        f'stroke-dasharray="1 3"/><polyline class="a" points="{drawn}"/>'
        f'{dots}{ticks}<text x="162" y="147" text-anchor="middle">{across}'
        f"</text></svg>"
    )
