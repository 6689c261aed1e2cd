"""Draws a flow as SVG: boxes by kind, shapes on the arrows, what passes by in another line.

Colours are classes and stand in the style sheet `gallery.css`, for light pages and dark ones.
"""

from html import escape

from building.gallery.flow import Box, Flow
from building.gallery.layout import Placed, placed

MARGIN = 6.0
LINE = 15.0
"""Height of a line of text in a box."""
LETTER = 6.3
"""Width of a letter in a box, on the average."""
ROUND = ("pair",)
"""Kinds that are drawn as a circle with a sign."""


def drawing(flow: Flow, name: str, title: str) -> str:
    """A flow as an SVG element.

    Args:
        flow: What is drawn.
        name: Tells the drawing apart from others on a page.
        title: What it shows, for who does not see it.
    """
    said: set[tuple[int, str]] = set()
    labels = []
    for arrow in flow.arrows:
        new = (arrow.source, arrow.shape) not in said
        said.add((arrow.source, arrow.shape))
        labels.append(arrow.shape if new else "")
    sizes = [size(box) for box in flow.boxes]
    ends = [(arrow.source, arrow.target) for arrow in flow.arrows]
    where = placed(sizes, [(*end, label) for end, label in zip(ends, labels, strict=True)])
    parts = [
        *_arrows(flow, where, name),
        *(_box(*one) for one in zip(flow.boxes, sizes, where.boxes, strict=True)),
        *(
            _text([label], *place, "flow-shape")
            for label, place in zip(labels, where.labels, strict=True)
            if label and place
        ),
    ]
    return svg(parts, where.width, where.height, name, title, described(flow))


def miniature(flow: Flow) -> str:
    """A flow as a small SVG element without words, for lists; those who read aloud pass it over."""
    sizes = [size(box) for box in flow.boxes]
    where = placed(sizes, [(arrow.source, arrow.target, "") for arrow in flow.arrows])
    parts = [
        *(part.split(" marker-end=")[0] + "/>" for part in _arrows(flow, where, "")),
        *(
            _box(box, extent, centre).split("<text")[0]
            for box, extent, centre in zip(flow.boxes, sizes, where.boxes, strict=True)
        ),
    ]
    scale = min(130 / where.width, 120 / where.height)
    return "\n".join(
        [
            '<svg class="flow mini" aria-hidden="true"'
            f' viewBox="-4 -4 {where.width + 8:.0f} {where.height + 8:.0f}"'
            f' style="width:{scale * where.width:.0f}px;height:{scale * where.height:.0f}px">',
            *parts,
            "</svg>",
        ]
    )


def svg(parts: list[str], width: float, height: float, name: str, title: str, says: str) -> str:
    """An SVG element with a text alternative; it shrinks with the page, down to what is legible."""
    width, height = width + 2 * MARGIN, height + 2 * MARGIN
    return "\n".join(
        [
            f'<svg class="flow" xmlns="http://www.w3.org/2000/svg" role="img"'
            f' viewBox="{-MARGIN:g} {-MARGIN:g} {width:.0f} {height:.0f}"'
            f' style="width:{width:.0f}px;min-width:{0.82 * width:.0f}px"'
            f' aria-labelledby="{name}-title {name}-says">',
            f'<title id="{name}-title">{escape(title)}</title>',
            f'<desc id="{name}-says">{escape(says)}</desc>',
            f'<defs><marker id="{name}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
            ' markerHeight="7" orient="auto"><path d="M0 0.8 L7.4 4 L0 7.2 z" fill="context-stroke"'
            "/></marker></defs>",
            *parts,
            "</svg>",
        ]
    )


def described(flow: Flow) -> str:
    """The boxes in words, each with the boxes it hears."""
    names = [" ".join(box.lines) for box in flow.boxes]
    sentences = []
    for place, box in enumerate(flow.boxes):
        heard = [arrow for arrow in flow.arrows if arrow.target == place]
        if box.kind == "input" or not heard:
            continue
        given = ", ".join(f"{names[arrow.source]} ({arrow.shape})" for arrow in heard)
        sentences.append(f"{names[place]}: from {given}.")
    return " ".join(sentences)


def size(box: Box) -> tuple[float, float]:
    """Width and height of a box."""
    if box.kind in ROUND:
        wide = 26.0 if len(box.lines[0]) == 1 else 40.0
        return wide, 26.0
    bold = 1.1 if _is_named(box) else 1.0
    longest = max(len(line) * (bold if n == 0 else 1.0) for n, line in enumerate(box.lines))
    return max(44.0, longest * LETTER + 16.0), len(box.lines) * LINE + 9.0


def _arrows(flow: Flow, where: Placed, name: str) -> list[str]:
    parts = []
    for arrow, points in zip(flow.arrows, where.arrows, strict=True):
        start, *rest = (f"{x:.1f} {y:.1f}" for x, y in points)
        kind = "flow-arrow flow-skip" if arrow.skips else "flow-arrow"
        path = f"M{start} C{' '.join(rest)}"
        parts.append(f'<path class="{kind}" d="{path}" marker-end="url(#{name}-tip)"/>')
    return parts


def _box(box: Box, size: tuple[float, float], centre: tuple[float, float]) -> str:
    (width, height), (x, y) = size, centre
    radius = 13.0 if box.kind in ROUND else 10.0 if box.kind in ("input", "output") else 4.0
    frame = (
        f'<rect class="flow-box flow-{box.kind}" x="{x - width / 2:.1f}" y="{y - height / 2:.1f}"'
        f' width="{width:.1f}" height="{height:.1f}" rx="{radius:g}"/>'
    )
    return frame + _text(list(box.lines), x, y, "flow-text", _is_named(box))


def _is_named(box: Box) -> bool:
    """Whether the first line is the name that the part has in the code."""
    return box.kind in ("convolution", "group", "layer") and len(box.lines) > 1


def _text(lines: list[str], x: float, y: float, kind: str, named: bool = False) -> str:
    top = y - (len(lines) - 1) * LINE / 2 + 4.0
    spans = "".join(
        f'<tspan x="{x:.1f}" y="{top + number * LINE:.1f}"'
        + (' class="flow-name">' if named and number == 0 else ">")
        + f"{escape(line)}</tspan>"
        for number, line in enumerate(lines)
    )
    return f'<text class="{kind}">{spans}</text>'
