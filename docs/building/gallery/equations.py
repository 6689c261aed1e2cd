"""What the docstring of a layer's module says, taken apart: sentences, equations, sources."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from building.gallery.tex import NotUnderstood, as_tex

INDENT = "    "
FAR = 24
"""Spaces before a line that only goes on with what is said of the one above."""
SIDES = re.compile(r"^(?P<left>[^=]*?)\s*(?P<sign>=|<-)\s+(?P<right>.*)$")
LABEL = re.compile(r"^(?P<label>[a-z]+):\s+(?P<rest>.*)$")
INDEXED = r"(?:_(?:[a-z0-9]+|\([^()]+\))|\^(?:\w+|\([^()]+\)))+(?!\w)"
PIECE = re.compile(
    r"(?<![\w`\"/.-])(?:[A-Za-z](?:\d(?![\w.-])|\w?" + INDEXED + r")"
    r"|(?:sum|mean|max|norm|softmax)" + INDEXED + r")"
)
"""What of a sentence is certainly a quantity: it has a subscript, a superscript or a digit."""


@dataclass(frozen=True)
class Equation:
    """One line: both sides in TeX, and what is said of it."""

    left: str
    right: str
    gloss: str
    """Markdown."""
    label: str = ""


@dataclass(frozen=True)
class About:
    """The docstring of a module, taken apart."""

    line: str
    body: list[str | list[Equation]]
    """Paragraphs in Markdown and blocks of equations, in order."""
    source: str
    reference: str


class BrokenEquation(ValueError):
    """An equation cannot be read; says in which file and line."""


def about(module: ModuleType) -> About:
    """Take the docstring of a module apart.

    Raises:
        BrokenEquation: A line is in no form that can be typeset.
    """
    doc = inspect.getdoc(module) or ""
    mechanism, _, sources = doc.partition("Source:")
    source, _, reference = sources.partition("Reference:")
    line, *blocks = [block for block in re.split(r"\n\s*\n", mechanism) if block.strip()]
    body: list[str | list[Equation]] = []
    for block in blocks:
        lines = block.strip("\n").splitlines()
        if all(text.startswith(INDENT) for text in lines):
            read = _read(lines, module)
            if body and isinstance(body[-1], list):
                body[-1] += read
            else:
                body.append(read)
        else:
            body.append(prose(" ".join(text.strip() for text in lines)))
    return About(" ".join(line.split()), body, _joined(source), _joined(reference))


def _read(lines: list[str], module: ModuleType) -> list[Equation]:
    """The lines of a block; one that begins far at the right goes on with what is said above."""
    read: list[Equation] = []
    for text in lines:
        deep = len(text) - len(text.lstrip()) >= FAR
        if deep and read and read[-1].gloss:
            read[-1] = replace(read[-1], gloss=f"{read[-1].gloss} {prose(text.strip())}")
        else:
            read.append(_located(text, module))
    return read


def equation(text: str) -> Equation:
    """One line of a docstring: the equation, and behind two spaces what is said of it.

    Without an equals sign it is an expression with brackets, or a remark that begins with "and".

    Raises:
        NotUnderstood: It is no equation.
    """
    label = ""
    if found := LABEL.match(text.strip()):
        label, text = found["label"], found["rest"]
    sides = SIDES.match(text.strip())
    if text.strip().startswith("and "):
        return Equation("", "", prose(text.strip()))
    if sides is None and "(" in text:
        right, *rest = re.split(r"\s{2,}", text.strip())
        return Equation("", as_tex(right), prose(" ".join(rest)), label)
    if sides is None:
        raise NotUnderstood(f"no '=' in {text.strip()!r}")
    right, *rest = re.split(r"\s{2,}", sides["right"].strip())
    while right.endswith(",") and rest:  # a condition belongs to the equation
        right, rest = f"{right} {rest[0]}", rest[1:]
    gloss = ""
    for column in rest:
        gloss += (" " if column.startswith("(") or not gloss else "; ") + column
    left = as_tex(sides["left"]) if sides["left"] else ""
    sign = {"=": "=", "<-": r"\leftarrow"}[sides["sign"]]
    return Equation(left, f"{sign} {as_tex(right)}", prose(gloss.strip()), label)


def prose(text: str) -> str:
    """A sentence as Markdown; quantities with an index are typeset, signs stay what they are."""
    parts, place = [], 0
    for found in PIECE.finditer(text):
        try:
            tex = as_tex(found[0])
        except NotUnderstood:
            continue
        parts += [escaped(text[place : found.start()]), f"{{math}}`{tex}`"]
        place = found.end()
    return "".join([*parts, escaped(text[place:])])


def escaped(text: str) -> str:
    """Text whose signs Markdown would take for its own; code in backquotes stays code."""
    parts = re.split(r"(`[^`]+`|https?://\S+?(?=[.,;]?(?:\s|$)))", text)
    return "".join(
        (f"<{part}>" if part.startswith("http") else part)
        if index % 2
        else re.sub(r"([\\*_\[\]<>$|])", r"\\\1", part)
        for index, part in enumerate(parts)
    )


def _located(text: str, module: ModuleType) -> Equation:
    try:
        return equation(text)
    except NotUnderstood as error:
        file = inspect.getsourcefile(module) or module.__name__
        raise BrokenEquation(f"{file}:{_line(file, text)}: {error}") from error


def _line(file: str, text: str) -> int:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if text.strip() in line), 1)


def _joined(text: str) -> str:
    return escaped(" ".join(text.split()))


def equations(found: About) -> Iterator[Equation]:
    """All equations of a docstring, in order."""
    for part in found.body:
        if isinstance(part, list):
            yield from part
