"""Where in a host a layer can stand."""

import re
from collections.abc import Sequence

from torch import nn

from pixelwise.errors import InputError
from pixelwise.insertion.examples import Example, example_for, mode
from pixelwise.insertion.layouts import Grid, find_layout
from pixelwise.insertion.stages import stages
from pixelwise.insertion.tracing import own_modules, trace
from pixelwise.layers.placement import EACH_STAGE


def possible_places(
    host: nn.Module, *, example: Example | None = None, grid: Grid | None = None
) -> str:
    """A table of the places: modules that differ by numbers only are one line, as a pattern.

    Raises:
        InputError: The host does not run.
    """
    if example is None:
        example = example_for(host, None)
    with mode(host, training=False):
        seen = trace(host, example)
    try:
        ends = stages(host, seen, grid)
    except InputError:
        ends = []
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, module in own_modules(host):
        calls = seen.of(name)
        shape = calls[-1].shape if calls else ()
        layout = find_layout(shape, seen.image, seen.batch, grid)
        if isinstance(layout, str) or isinstance(module, nn.Identity):
            continue
        rows, columns = layout.size(shape, seen.image)
        shown = name if name in ends else re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name)
        mark = f"ends a stage ({EACH_STAGE!r})" if name in ends else ""
        width = str(layout.channels(shape))
        key = (shown, type(module).__name__, width, f"{rows}x{columns}", str(layout), mark)
        groups.setdefault(key, []).append(name)
    lines: list[tuple[str, ...]] = [("place", "type", "width", "map", "layout", "", "modules")]
    lines += [(*key, str(len(names))) for key, names in groups.items()]
    return aligned(lines, left=(True, True, False, False, True, True, False))


def aligned(rows: Sequence[tuple[str, ...]], left: tuple[bool, ...]) -> str:
    """Rows as lines of columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in rows
    )
