"""A Sphinx extension: equations in TeX become MathML, which browsers show without a script."""

from docutils import nodes
from latex2mathml import exceptions
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)
REFUSED = tuple(kind for kind in vars(exceptions).values() if isinstance(kind, type))
"""What the converter raises where it does not understand an equation."""


def mathml(tex: str, display: str) -> str:
    r"""An equation as a `<math>` element.

    Args:
        tex: the equation; several lines (`\\`) or `&` make an aligned one.
        display: `block` or `inline`.

    Returns:
        The element as HTML.

    Raises:
        ValueError: a command or an environment that the converter does not know.
    """
    tex = tex.strip().replace("{aligned}", "{align*}")  # the converter knows the second alone
    if ("&" in tex or "\\\\" in tex) and "\\begin" not in tex:
        tex = f"\\begin{{align*}}{tex}\\end{{align*}}"
    element = convert(tex, display=display)
    if "\\" in element or "<mi>&</mi>" in element:
        raise ValueError("has a command that is not known")
    return element


def visit_math(writer: HTML5Translator, node: nodes.math) -> None:
    """Write an equation that stands in a sentence."""
    writer.body.append(_converted(node, "inline"))
    raise nodes.SkipNode


def visit_math_block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write an equation that stands alone."""
    writer.body.append(f'<div class="equation">{_converted(node, "block")}</div>\n')
    raise nodes.SkipNode


def _converted(node: nodes.Element, display: str) -> str:
    try:
        return mathml(node.astext(), display)
    except (*REFUSED, IndexError, ValueError, KeyError) as error:
        logger.warning("equation %r is not understood: %r", node.astext(), error, location=node)
        return ""


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take the place of Sphinx's own writers of equations."""
    app.add_node(nodes.math, override=True, html=(visit_math, None))
    app.add_node(nodes.math_block, override=True, html=(visit_math_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
