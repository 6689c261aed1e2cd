"""Rows as a table, in a terminal or in Markdown, and geometric means over them."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import geometric_mean

from pixelwise.benchmarks.rows import Row

HEADS = (
    "name", "size", "mode", "form", "ms", "min to max", "n", "x ours",
    "peak MB", "predicted", "GFLOP", "parameters", "floor ms", "x floor",
)  # fmt: skip
LEFT = 4
"""Columns of text; those behind them are numbers."""


def text_table(rows: Sequence[Row]) -> str:
    """Aligned columns; what a row shares with the one before it is left out."""
    cells = [list(HEADS), *_cells(rows, repeated=False)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for found, row in zip(cells, [None, *rows], strict=True):
        pairs = enumerate(zip(found, widths, strict=True))
        line = "  ".join(f"{c:{w}}" if i < LEFT else f"{c:>{w}}" for i, (c, w) in pairs)
        lines.append(f"{line}  {row.problem if row else ''}".rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Row], about: Mapping[str, object]) -> str:
    """The same for a page, with the machine and the means."""
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    heads = (*HEADS, "problem")
    rule = ["---" if i < LEFT else "---:" for i in range(len(HEADS))]
    head, ruled = (" | ".join(cells) for cells in (heads, [*rule, "---"]))
    lines = [told, "", *means(rows), "", f"| {head} |", f"| {ruled} |"]
    for cells, row in zip(_cells(rows, repeated=True), rows, strict=True):
        lines.append(f"| {' | '.join(cells)} | {row.problem} |")
    return "\n".join(lines) + "\n"


def means(rows: Sequence[Row]) -> list[str]:
    """By how much ours is quicker than each form, and above the floor, on the geometric mean."""
    lines = []
    for form in dict.fromkeys(row.form for row in rows if not row.is_ours):
        parts = []
        for mode in dict.fromkeys(row.mode for row in rows):
            found = [r.ratio for r in rows if r.form == form and r.mode == mode and r.ratio]
            if found:
                parts.append(f"{mode} {geometric_mean(found):.2f} x ours (of {len(found)})")
        if parts:
            lines.append(f"{form}, geometric mean: {', '.join(parts)}")
    for mode in dict.fromkeys(row.mode for row in rows):
        over = [r.over_floor for r in rows if r.is_ours and r.mode == mode and r.over_floor]
        if over:
            lines.append(f"ours, {mode}: {geometric_mean(over):.2f} x the floor (of {len(over)})")
    return lines


def _cells(rows: Sequence[Row], *, repeated: bool) -> Iterator[list[str]]:
    before = ("", "", "")
    for row in rows:
        head = (row.name, row.size, row.mode)
        shown = head if repeated or head != before else ("", "", "")
        before = head
        spread = "" if row.min_ms is None else f"{_number(row.min_ms)} to {_number(row.max_ms)}"
        yield [
            *shown,
            row.form,
            _number(row.median_ms),
            spread,
            str(row.n),
            "" if row.ratio is None or row.is_ours else f"{row.ratio:.2f}",
            _number(row.peak_mb),
            _number(row.predicted_mb),
            _number(row.gflop),
            "" if row.parameters is None else f"{row.parameters:,}",
            _number(row.floor_ms),
            "" if row.over_floor is None else f"{row.over_floor:.1f}",
        ]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
