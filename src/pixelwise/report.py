"""A report as one HTML file: works offline, prints well, follows the reader's light or dark theme.

A `Report` is sections of blocks: `Text`, `Table`, `Matrix`, `Heat`, `Settings`, `Figure`, `Legend`,
`Commands`, `Verbatim` and `Markup`. Pictures are inside the file, there is no script, and text is
escaped. A page may hold editions in several languages, of which the reader chooses one.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape as escaped
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template

from pixelwise.language import mark, plural, spoken, tag, translate
from pixelwise.pictures import write_bytes
from pixelwise.tasks.measures import Measures

BETTER = "\N{BLACK UP-POINTING TRIANGLE}"


@dataclass(frozen=True)
class Highlight:
    """A number to see first: what it is, its value with the unit, and a remark."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A table's cell; the better one of a row is marked by a symbol and bold type."""

    text: str
    better: bool = False


@dataclass(frozen=True)
class Table:
    """Rows below a header: the first column is names, the others align right.

    Args:
        header: One text per column; empty for no header.
        rows: Cells, or their text.
        caption: What the numbers are, with their unit.
        leads: Of each row, what is to be read before its numbers: a word, and a sentence.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    caption: str = ""
    leads: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Settings:
    """What was run: names and values in two columns."""

    values: Mapping[str, str]


@dataclass(frozen=True)
class Figure:
    """A picture; figures that follow each other share a row where they have room.

    Args:
        png: The picture as PNG bytes.
        alt: What is to be seen, for those who cannot see it.
        caption: Below the picture.
        wide: Takes a row of its own.
    """

    png: bytes
    alt: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Text:
    """A heading within a section, and paragraphs (parted by empty lines)."""

    title: str
    text: str = ""


@dataclass(frozen=True)
class Commands:
    """Lines to type, each with what it does."""

    lines: Mapping[str, str]


@dataclass(frozen=True)
class Legend:
    """What colours stand for, as text that any reader's fonts can show."""

    entries: Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Matrix:
    """Shares of each row in shaded cells.

    Args:
        names: Of the rows, and of the columns.
        cells: Row by row 0 to 1; None for a row that is empty.
        caption: What the numbers are, with their unit.
    """

    names: tuple[str, ...]
    cells: tuple[tuple[float, ...] | None, ...]
    caption: str = ""


@dataclass(frozen=True)
class Shade:
    """A cell of a `Heat`.

    Args:
        share: Of the deepest colour: 1 is the deepest blue, -1 the deepest orange.
        text: In it.
        mark: Whether it has a frame and bold type.
    """

    share: float
    text: str
    mark: bool = False


@dataclass(frozen=True)
class Heat:
    """Numbers on both sides of 0 in coloured cells: blue is better, orange is worse.

    Args:
        names: Of the columns.
        rows: Name and cells of each row; None: there is no number.
        caption: What the numbers are, with their unit.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade | None, ...]], ...]
    caption: str = ""


@dataclass(frozen=True)
class Verbatim:
    """Lines as a machine wrote them, in their own language."""

    lines: tuple[str, ...]
    language: str = "en"


@dataclass(frozen=True)
class Markup:
    """HTML of a page's own, in which its maker has escaped every text."""

    html: str


Block = Text | Table | Settings | Figure | Commands | Legend | Matrix | Heat | Verbatim | Markup


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs (parted by empty lines) and blocks."""

    title: str
    text: str = ""
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole page. `footer` is a line on where the numbers come from."""

    title: str
    summary: str
    highlights: tuple[Highlight, ...] = ()
    sections: tuple[Section, ...] = ()
    footer: str = ""
    contents: str = ""


@dataclass(frozen=True)
class Edition:
    """A report in one language.

    Args:
        language: Its tag, such as "zh-Hans".
        label: What the language calls itself.
        report: The report.
    """

    language: str
    label: str
    report: Report


def write_report(folder: Path, report: Report) -> Path:
    """Write `report.html` into a folder and return its path.

    Raises:
        InputError: the folder cannot be written.
    """
    path = folder / "report.html"
    write_bytes(path, render(report).encode())
    return path


def measures_table(results: Mapping[str, Measures]) -> Table:
    """Numbers of one or more networks; the best of each row is marked if they differ.

    Args:
        results: Numbers on the same pictures, by the network's name.
    """
    first = next(iter(results.values()))
    rows: list[tuple[str | Cell, ...]] = []
    for number, row in enumerate(first.rows):
        values = [found.rows[number].value for found in results.values()]
        counted = (row.counted,) if first.counted else ()
        rows.append((row.name, *counted, *_compared(values, first, row.larger)))
    caption = translate(first.caption)
    if len(results) > 1:
        caption += plural(
            " {mark} marks the best of a row, to {digits} decimal.",
            " {mark} marks the best of a row, to {digits} decimals.",
            first.digits,
        ).format(mark=BETTER, digits=translate(_WORDS[first.digits]))
    header = (first.heading, *([first.counted] if first.counted else []), *results)
    return Table(header, tuple(rows), caption.strip())


STRONG = 0.5
"""From this shade on, letters are white."""
_WORDS = (mark("no"), mark("one"), mark("two"), mark("three"))


def _compared(values: Sequence[float | None], table: Measures, larger: bool | None) -> list[Cell]:
    texts = [table.text(value) for value in values]
    numbers = [float(text) for text, v in zip(texts, values, strict=True) if v is not None]
    if larger is None or len(set(numbers)) < 2:
        return [Cell(text) for text in texts]
    best = table.text(max(numbers) if larger else min(numbers))
    return [Cell(text, text == best) for text in texts]


def escape(text: str) -> str:
    """A text, in the chosen language where it is a message, as HTML has it."""
    return escaped(spoken(text))


def render(report: Report) -> str:
    """The page as text."""
    return _page(tag(), escape(report.title), _body(report, "s"))


def render_editions(editions: Sequence[Edition]) -> str:
    """A page in several languages as text; the reader chooses one.

    The one in the chosen language is shown at first, or else the first.

    Pictures that are in several editions are in the file once.
    """
    switch, bodies = [], []
    first = next((i for i, one in enumerate(editions) if one.language == tag()), 0)
    for number, one in enumerate(editions):
        checked = " checked" if number == first else ""
        switch.append(
            f'<input type="radio" name="language" class="to" id="to-{number}"{checked}>'
            f'<label for="to-{number}" lang="{one.language}">{escape(one.label)}</label>'
        )
        inside = _body(one.report, f"e{number}s")
        bodies.append(f'<div class="edition" lang="{one.language}">\n{inside}\n</div>\n')
    shown = ",".join(f"#to-{i}:checked~.edition:nth-of-type({i + 1})" for i in range(len(editions)))
    title = " \N{MIDDLE DOT} ".join(escape(one.report.title) for one in editions)
    parts = "".join(bodies)
    pictures: dict[str, str] = {}
    parts = _IMAGE.sub(lambda found: _shared(found, pictures), parts)
    return _page(
        editions[first].language,
        title,
        f"<style>.edition{{display:none}}{shown}{{display:block}}</style>\n"
        f'<svg class="store" aria-hidden="true">{"".join(pictures.values())}</svg>\n'
        f"{''.join(switch)}\n{parts}",
    )


_IMAGE = re.compile(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]*)">')


def _shared(found: re.Match[str], pictures: dict[str, str]) -> str:
    """A picture that is kept once; `pictures` are those kept, by their content."""
    alt, content = found.groups()
    head = base64.b64decode(content[:32])
    width, height = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
    box = f'viewBox="0 0 {width} {height}"'
    if content not in pictures:
        pictures[content] = (
            f'<symbol id="picture{len(pictures)}" {box}><image width="{width}" height="{height}"'
            f' href="data:image/png;base64,{content}"/></symbol>'
        )
    number = list(pictures).index(content)
    return (
        f'<svg class="picture" role="img" aria-label="{alt}" {box} style="max-width:{width}px">'
        f'<use href="#picture{number}"/></svg>'
    )


def _page(language: str, title: str, body: str) -> str:
    template = Template(files("pixelwise").joinpath("report_template.html").read_text("utf-8"))
    return template.substitute(language=language, title=title, body=body)


def _body(report: Report, prefix: str) -> str:
    contents = "".join(
        f'<li><a href="#{prefix}{i}">{escape(section.title)}</a></li>'
        for i, section in enumerate(report.sections)
    )
    highlights = "".join(map(_highlight, report.highlights))
    named = escape(report.contents or translate("Contents"))
    sections = (_section(f"{prefix}{i}", one) for i, one in enumerate(report.sections))
    return "\n".join(
        [
            "<main>",
            f"<h1>{escape(report.title)}</h1>",
            f'<div class="summary">{_paragraphs(report.summary)}</div>',
            f'<dl class="highlights">{highlights}</dl>' if highlights else "",
            f'<nav aria-label="{named}"><ul>{contents}</ul></nav>',
            "".join(sections),
            "</main>",
            f"<footer>{escape(report.footer)}</footer>",
        ]
    )


def _section(name: str, section: Section) -> str:
    parts = [f'<section id="{name}"><h2>{escape(section.title)}</h2>']
    parts.append(_paragraphs(section.text))
    for is_figure, blocks in groupby(section.blocks, lambda block: isinstance(block, Figure)):
        inner = "".join(map(_block, blocks))
        parts.append(f'<div class="figures">{inner}</div>' if is_figure else inner)
    return "".join([*parts, "</section>\n"])


def _block(block: Block) -> str:
    match block:
        case Text(title, text):
            return f"<h3>{escape(title)}</h3>{_paragraphs(text)}"
        case Table():
            return _table(block)
        case Settings(values):
            return f'<dl class="settings">{_pairs(values)}</dl>'
        case Figure(png, alt, caption, wide):
            source = base64.b64encode(png).decode()
            below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
            return (
                f'<figure{" class=wide" if wide else ""}><img alt="{escape(alt)}" '
                f'src="data:image/png;base64,{source}">{below}</figure>'
            )
        case Commands(lines):
            return f'<dl class="commands">{_pairs(lines)}</dl>'
        case Legend(entries):
            swatches = "".join(
                f'<li><span style="background:rgb{colour}"></span>{escape(name)}</li>'
                for name, colour in entries.items()
            )
            return f'<ul class="legend">{swatches}</ul>'
        case Matrix():
            return _matrix(block)
        case Heat():
            return _heat(block)
        case Verbatim(texts, language):
            inside = "".join(f"<li>{escape(text)}</li>" for text in texts)
            return f'<ul class="verbatim" lang="{escape(language)}">{inside}</ul>'
        case Markup(html):
            return html


def _pairs(values: Mapping[str, str]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in values.items()
    )


def _table(table: Table) -> str:
    caption = f"<caption><span>{escape(table.caption)}</span></caption>" if table.caption else ""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in table.header)
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    if table.leads:
        each = zip(table.rows, table.leads, strict=True)
        body = "".join(_led(row, *lead) for row, lead in each)
        return f'<div class="scroll"><table class="led">{caption}{head}{body}</table></div>'
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in table.rows)
    return f'<div class="scroll"><table>{caption}{head}<tbody>{body}</tbody></table></div>'


def _led(row: Sequence[str | Cell], word: str, sentence: str) -> str:
    """A row of two lines: what is to be read first, and the numbers.

    On narrow screens the name stands before the sentence, not in a column of its own.
    """
    name, numbers = _cells(row).split("</th>", 1)
    name = name.replace("<th ", '<th rowspan="2" ')
    first = row[0] if isinstance(row[0], str) else row[0].text
    lead = f"<b>{escape(first)}</b><strong>{escape(word)}</strong>{escape(sentence)}"
    return (
        f'<tbody><tr>{name}</th><td class="lead" colspan="{len(row) - 1}"><span>{lead}</span></td>'
        f"</tr><tr>{numbers}</tr></tbody>"
    )


DEPTHS = 5
"""Colours on either side of 0."""


def _heat(heat: Heat) -> str:
    caption = f"<caption><span>{escape(heat.caption)}</span></caption>" if heat.caption else ""
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in heat.names)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, cells))}</tr>'
        for name, cells in heat.rows
    )
    return (
        f'<div class="scroll"><table class="matrix heat">{caption}<thead><tr><th></th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def _cell(shade: Shade | None) -> str:
    if shade is None:
        return "<td>\N{EN DASH}</td>"
    depth = round(DEPTHS * max(-1.0, min(1.0, shade.share)))
    name = f"{'b' if depth > 0 else 'o'}{abs(depth)}" if depth else "n"
    return f'<td class="{name}{" m" * shade.mark}">{escape(shade.text)}</td>'


def _matrix(matrix: Matrix) -> str:
    caption = f"<caption><span>{escape(matrix.caption)}</span></caption>" if matrix.caption else ""
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in matrix.names)
    body = ""
    for name, cells in zip(matrix.names, matrix.cells, strict=True):
        if cells is None:
            absent = escape(translate("absent"))
            inside = f'<td class="absent" colspan="{len(matrix.names)}">{absent}</td>'
        else:
            inside = "".join(map(_shaded, cells))
        body += f'<tr><th scope="row">{escape(name)}</th>{inside}</tr>'
    return (
        f'<div class="scroll"><table class="matrix">{caption}<thead><tr><th></th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def _shaded(share: float) -> str:
    ink = ";color:#fff" if share > STRONG else ""
    text = f"{100 * share:.1f}" if share else "0"
    return f'<td style="background:rgba(11,92,173,{share:.2f}){ink}">{text}</td>'


def _cells(row: Iterable[str | Cell]) -> str:
    first, *others = (cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
    cells = [f'<th scope="row">{escape(first.text)}</th>']
    for cell in others:
        if cell.better:
            mark = f'<span role="img" aria-label="{escape(translate("best"))}">{BETTER}</span>'
            cells.append(f'<td class="better">{mark} {escape(cell.text)}</td>')
        else:
            cells.append(f"<td>{escape(cell.text)}</td>")
    return "".join(cells)


def _highlight(highlight: Highlight) -> str:
    note = f"<small>{escape(highlight.note)}</small>" if highlight.note else ""
    return f"<div><dt>{escape(highlight.label)}</dt><dd>{escape(highlight.value)}{note}</dd></div>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())
