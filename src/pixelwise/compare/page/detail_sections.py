"""Where a mechanism helps: classes, sizes of objects, and single pictures."""

from collections.abc import Iterator

import numpy as np

from pixelwise.compare import words
from pixelwise.compare.arms import NONE
from pixelwise.compare.details import Detail, Grid
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.page.numbers import CLEAR, UNKNOWN, natural
from pixelwise.metrics import Kind
from pixelwise.report import Block, Figure, Heat, Section, Shade, Table, Text

COLUMNS = 24
DEEPEST = 95
"""Percentile of the differences that has the deepest colour, so that one does not pale all."""


def classes(told: Compared, say: Speech) -> Section:
    """Differences score by score, as coloured cells."""
    title = say("Class by class", "逐类别差异")
    grids = [grid for grid in told.grids if grid.part == "scores"]
    if not grids:
        return Section(
            title,
            say(
                "The task has no scores besides the main one, or no two networks share a seed.",
                "该任务除主要分数外没有其他分数，或没有两个网络使用相同的随机种子。",
            ),
        )
    text = say(
        "How much each score differs, as a mean over seeds. Blue is better and orange is worse; a"
        " frame and bold type mark what is clear for the mechanism, all its columns considered."
        " This is to look around in, not a verdict: it is not corrected for the number of"
        " mechanisms, and with many rows some cell is framed by chance.",
        "各项分数的差值（随机种子平均）。蓝色为更好，橙色为更差；加框的粗体表示在考虑该机制所有列"
        "之后仍然明显的差异。此表供探索之用，并非结论：没有针对机制数量作校正，行数多时总会有单元格"
        "偶然加框。",
    )
    blocks: list[Block] = []
    for grid in grids:
        blocks += [_heading(grid, say), *_heats(grid, told, say)]
    return Section(title, text, tuple(blocks))


def sizes(told: Compared, say: Speech) -> Section | None:
    """Differences by the size of objects; None: the task has none."""
    grids = [grid for grid in told.grids if grid.part == "sizes"]
    if not grids:
        return None
    text = say(
        f"How much is found of objects of each size. {CLEAR} marks what is clear for the mechanism,"
        " all its columns considered; it is not corrected for the number of mechanisms.",
        f"不同大小的物体各被找到多少。{CLEAR} 表示在考虑该机制所有列之后仍然明显的差异；"
        "没有针对机制数量作校正。",
    )
    blocks = [block for grid in grids for block in (_heading(grid, say), _sizes(grid, told, say))]
    return Section(say("By the size of objects", "按物体大小"), text, tuple(blocks))


def disagreements(told: Compared, say: Speech) -> Section | None:
    """Pictures on which mechanisms differ most; None: there are none."""
    if not told.differing:
        return None
    text = say(
        "Pictures on which the networks disagree most, each with its first seed. They were"
        " chosen for that, so they are not typical.",
        "各网络分歧最大的图片，均取第一个随机种子。它们因分歧而被选出，并不具有代表性。",
    )
    figures = tuple(
        Figure(
            png, say(english, chinese), f"{file}{say(': ', '：')}{say(english, chinese)}", wide=True
        )
        for file, png, english, chinese in told.differing
    )
    return Section(say("Where they disagree", "分歧所在"), text, figures)


def _heading(grid: Grid, say: Speech) -> Text:
    if grid.against == NONE:
        return Text(say("Against none", "相对无注意力网络"))
    return Text(say("Against the control of each", "相对各自的对照"))


def _rows(grid: Grid, told: Compared) -> Iterator[tuple[str, tuple[Detail | None, ...]]]:
    for verdict in told.ordered:
        cells = grid.rows.get(verdict.arm, ())
        if any(cell is not None for cell in cells):
            yield verdict.arm, cells


def _base(grid: Grid, told: Compared) -> list[str] | None:
    """Scores of none itself, the row that differences are from."""
    if grid.against != NONE:
        return None
    runs = told.runs(NONE)
    found = [one.scores if grid.part == "scores" else one.sizes for one in runs]
    values = np.array([one.values[-len(grid.kinds) :] for one in found if one is not None])
    if not len(values):
        return None
    known = np.isfinite(values)
    means = [v[k].mean() if k.any() else None for v, k in zip(values.T, known.T, strict=True)]
    return [
        UNKNOWN if mean is None else _short(kind, float(mean))
        for kind, mean in zip(grid.kinds, means, strict=True)
    ]


def _short(kind: Kind, value: float, *, sign: bool = False) -> str:
    if kind.percent:
        rounded = round(100 * value, 1) + 0.0  # no -0.0
        return f"{rounded:+.1f}" if sign and rounded else f"{rounded:.1f}"
    return f"{value:+.3g}" if sign and value else f"{value:.3g}"


def _heats(grid: Grid, told: Compared, say: Speech) -> Iterator[Heat]:
    """The grid, in parts as wide as a sheet of paper."""
    scales = _scales(grid)
    rows: list[tuple[str, tuple[Shade | None, ...]]] = []
    if (base := _base(grid, told)) is not None:
        rows.append((words.arm(NONE, say.language), tuple(Shade(0.0, text) for text in base)))
    for name, cells in _rows(grid, told):
        each = zip(grid.kinds, cells, strict=True)
        rows.append((name, tuple(_shade(kind, cell, scales) for kind, cell in each)))
    names = tuple(words.title(kind, say.language) for kind in grid.kinds)
    units = say.listed(
        say(
            f"{_short_scale(unit, top)} {unit}".strip(),
            f"{_short_scale(unit, top)} {say.unit(unit)}".strip(),
        )
        for unit, top in scales.items()
    )
    first = ""
    if base is not None:
        first = say(" The first row is none itself.", "第一行是无注意力网络本身的分数。")
    caption = say(
        f"Deepest colours from a difference of {units} on.{first}",
        f"差值达到 {units} 时颜色最深。{first}",
    )
    for begin in range(0, len(names), COLUMNS):
        part = slice(begin, begin + COLUMNS)
        is_last = begin + COLUMNS >= len(names)
        cut = tuple((name, cells[part]) for name, cells in rows)
        yield Heat(names[part], cut, caption if is_last else "")


def _scales(grid: Grid) -> dict[str, float]:
    """Unit -> the difference with the deepest colour."""
    found: dict[str, list[float]] = {}
    for cells in grid.rows.values():
        for kind, cell in zip(grid.kinds, cells, strict=True):
            if cell is not None and kind.larger is not None:
                found.setdefault(kind.apart_in, []).append(abs(cell.effect.mean))
    return {unit: float(np.percentile(all_, DEEPEST)) for unit, all_ in found.items()}


def _short_scale(unit: str, value: float) -> str:
    return f"{100 * value:.1f}" if unit == "points" else f"{value:.3g}"


def _shade(kind: Kind, cell: Detail | None, scales: dict[str, float]) -> Shade | None:
    if cell is None:
        return None
    text = _short(kind, natural(kind, cell.effect).mean, sign=True)
    top = scales.get(kind.apart_in, 0.0)
    share = 0.0 if kind.larger is None or top == 0 else cell.effect.mean / top
    return Shade(share, text, cell.clear)


def _sizes(grid: Grid, told: Compared, say: Speech) -> Table:
    rows = []
    if (base := _base(grid, told)) is not None:
        rows.append((words.arm(NONE, say.language), *base))
    for name, cells in _rows(grid, told):
        each = zip(grid.kinds, cells, strict=True)
        rows.append((name, *(_difference(kind, cell, say) for kind, cell in each)))
    titles = (words.title(kind, say.language) for kind in grid.kinds)
    header = (say("mechanism", "机制"), *titles)
    caption = ""
    if base is not None:
        caption = say(
            "The first row is none itself; the others are differences from it.",
            "第一行是无注意力网络本身的分数，其余为与它的差值。",
        )
    return Table(header, tuple(rows), caption)


def _difference(kind: Kind, cell: Detail | None, say: Speech) -> str:
    if cell is None:
        return UNKNOWN
    text = words.difference(kind, cell.effect, say.language)
    return f"{text} {CLEAR}" if cell.clear else text
