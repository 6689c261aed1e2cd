"""Parts that pages of layers and of networks share."""

import re

from building.gallery.equations import About, Equation, escaped
from pixelwise.cli.card import options_of


def page(title: str, line: str, parts: list[tuple[str, str]]) -> str:
    """A page with a line of links to its parts; parts without text are left out."""
    there = [(heading, text) for heading, text in parts if text]
    links = " · ".join(f"[{heading}](#{_anchor(heading)})" for heading, _ in there)
    lines = [
        "---\nhide-toc: true\n---",
        "",
        f"# {title}",
        "",
        line,
        "",
        "{.page-parts}",
        links,
        "",
    ]
    for heading, text in there:
        lines += [f"## {heading}", "", text, ""]
    return "\n".join(lines).rstrip() + "\n"


def equation_table(lines: list[Equation]) -> str:
    """Equations as a table: left sides, right sides, and what is said of them."""
    rows = ["```{list-table}", ":class: equations", ":widths: auto", ""]
    for line in lines:
        label = f"*{line.label}* " if line.label else ""
        left = f"{{math}}`\\displaystyle {line.left}`" if line.left else ""
        rows += [
            f"* - {label}{left}".rstrip(),
            f"  - {{math}}`\\displaystyle {line.right}`" if line.right else "  -",
            f"  - {line.gloss}".rstrip(),
        ]
    return "\n".join([*rows, "```"])


def body(says: About) -> str:
    """The sentences and equations of a docstring."""
    return "\n\n".join(
        part if isinstance(part, str) else equation_table(part) for part in says.body
    )


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def options_table(cls: type) -> str:
    """The options of a layer or network with their defaults, as Markdown."""
    lines = options_of(cls)
    if not lines:
        return "None."
    rows = ["| option and default | what it does |", "| --- | --- |"]
    for line in lines:
        name, _, text = line.partition("  ")
        rows.append(f"| `{name.replace('|', chr(92) + '|')}` | {escaped(text)} |")
    return "\n".join(rows)


def sources(says: About) -> str:
    """Paper and code that a docstring names."""
    return "\n\n".join(
        part
        for part in (
            f"Source: {says.source}" if says.source else "",
            f"Reference: {says.reference}" if says.reference else "",
        )
        if part
    )
