"""A Sphinx extension: words inside of figures, which no catalogue has, in the language of the page.

Figures are drawn once, with English words. `docs/locale/zh/figures.csv` has a pattern for each
phrase and what it is in Chinese. Names of parts stay as they are in the code.
"""

import csv
import functools
import re
from html import escape, unescape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from building.places import DOCS

FILE = DOCS / "locale" / "zh" / "figures.csv"
FIGURE = re.compile(r"<svg\b.*?</svg>|<div class=\"flow-key\".*?</div>", re.DOTALL)
WORDS = re.compile(r"(?<=>)[^<>]+(?=</(?:text|tspan|span|title)>)")


@functools.cache
def phrases() -> list[tuple[re.Pattern[str], str]]:
    """Patterns of English phrases, and their Chinese with the parts of the match."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [(re.compile(row["english"]), row["chinese"]) for row in csv.DictReader(file)]


def in_chinese(words: str) -> str:
    """A phrase of a figure in Chinese; one that no pattern fits stays as it is."""
    for pattern, chinese in phrases():
        if found := pattern.fullmatch(words):
            return found.expand(chinese)
    return words


def translated(body: str) -> str:
    """The HTML of a page with the words of its figures in Chinese."""

    def one(found: re.Match[str]) -> str:
        return escape(in_chinese(unescape(found[0])), quote=False)

    return FIGURE.sub(lambda figure: WORDS.sub(one, figure[0]), body)


def complete(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the words of a Chinese page's figures into its language."""
    if app.config.language == "zh_CN" and "body" in context:
        context["body"] = translated(context["body"])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to the builder of pages."""
    app.connect("html-page-context", complete)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
