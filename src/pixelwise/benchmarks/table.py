"""Rows as a table, in a terminal or in Markdown, and geometric means over them."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import geometric_mean

from pixelwise.benchmarks.rows import Row
from pixelwise.language import translate

HEADS = (
    "name", "size", "mode", "form", "ms", "min to max", "n", "x ours",
    "peak MB", "predicted", "GFLOP", "parameters", "floor ms", "x floor",
)  # fmt: skip
LEFT = 4
"""Columns of text; those behind them are numbers."""


def text_table(rows: Sequence[Row]) -> str:
    """Aligned columns; what a row shares with the one before it is left out."""
    cells = [list(HEADS), *_cells(rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for found, row in zip(cells, [None, *rows], strict=True):
        pairs = enumerate(zip(found, widths, strict=True))
        line = "  ".join(f"{c:{w}}" if i < LEFT else f"{c:>{w}}" for i, (c, w) in pairs)
        lines.append(f"{line}  {row.problem if row else ''}".rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Row], about: Mapping[str, object]) -> str:
    """For a page: a line for each case, size and mode, with the machine and the means."""
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    heads = ("case", "size", "mode", "ours, ms", "beside it, ms", "floor, ms", "ours / floor", "MB")
    lines = [told, "", *(f"- {line}" for line in means(rows)), ""]
    lines += [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    together: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        together.setdefault((row.name, row.size, row.mode), []).append(row)
    for (name, size, mode), found in together.items():
        ours = next((row for row in found if row.is_ours), found[0])
        others = [row for row in found if row is not ours]
        cells = [f"`{name}`", size, mode, _time(ours), "; ".join(map(_beside, others))]
        cells += [_number(ours.floor_ms), "" if not ours.over_floor else f"{ours.over_floor:.1f}"]
        cells.append("; ".join(_memory(row) for row in found if row.peak_mb is not None))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _time(row: Row) -> str:
    if row.median_ms is None:
        return row.problem
    return f"{_number(row.median_ms)} ({_number(row.min_ms)} to {_number(row.max_ms)}, n={row.n})"


def _beside(row: Row) -> str:
    times = "" if row.ratio is None else f", **{row.ratio:.2f}x**"
    return f"{row.form} {_time(row)}{times}"


def _memory(row: Row) -> str:
    if row.is_ours:
        told = "" if row.predicted_mb is None else f" ({_number(row.predicted_mb)} predicted)"
        return f"{_number(row.peak_mb)}{told}"
    return f"{row.form} {_number(row.peak_mb)}"


def means(rows: Sequence[Row]) -> list[str]:
    """By how much ours is quicker than each form, and above the floor, on the geometric mean."""
    lines = []
    for form in dict.fromkeys(row.form for row in rows if not row.is_ours):
        parts = []
        for mode in dict.fromkeys(row.mode for row in rows):
            found = [r.ratio for r in rows if r.form == form and r.mode == mode and r.ratio]
            if found:
                parts.append(
                    translate("{mode} {geometric_mean:.2f} x ours (of {found})").format(
                        mode=mode, geometric_mean=geometric_mean(found), found=len(found)
                    )
                )
        if parts:
            lines.append(
                translate("{form}, geometric mean: {parts}").format(
                    form=form, parts=", ".join(parts)
                )
            )
    for mode in dict.fromkeys(row.mode for row in rows):
        over = [r.over_floor for r in rows if r.is_ours and r.mode == mode and r.over_floor]
        if over:
            lines.append(
                translate("ours, {mode}: {geometric_mean:.2f} x the floor (of {over})").format(
                    mode=mode, geometric_mean=geometric_mean(over), over=len(over)
                )
            )
    return lines


def _cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    before = ("", "", "")
    for row in rows:
        head = (row.name, row.size, row.mode)
        shown = head if head != before else ("", "", "")
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
