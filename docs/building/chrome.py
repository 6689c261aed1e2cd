"""A Sphinx extension: what stands around the text of a page, in the language of the page.

The words of the theme's own templates come from its catalogue; ours are in
`docs/_theme/words.yaml`.
"""

from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from building.places import DOCS

WORDS = yaml.safe_load((DOCS / "_theme" / "words.yaml").read_text(encoding="utf-8"))
"""Words on every page and how the other language is called, by Sphinx's name of the language."""
WEIGHTS = {"changelog": 0.2, "contributing": 0.4, "faq": 1.5}
"""Pages that searches should find last or first -> their weight; others have 1."""


def complete(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give the templates of a page its words and the address of its other language."""
    words = WORDS[app.config.language]
    up = "../" * (page.count("/") + 1)
    context["words"] = words
    context["other"] = {
        **words["other"],
        "address": f"{up}{words['other']['folder']}/{page}.html",
    }
    context["weight"] = WEIGHTS.get(page, 1)


def without_search(app: Sphinx) -> None:
    """Leave out Sphinx's own index: pagefind makes one that reads Chinese."""
    app.builder.search = False


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to the builder of pages."""
    app.connect("html-page-context", complete)
    app.connect("builder-inited", without_search)
    app.add_css_file("site.css")
    app.add_css_file("gallery.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
