"""Lines of a terminal from text whose letters may be two columns wide."""

import re

from pixelwise.language import cells

PIECES = re.compile(
    r"[\u2e80-\u9fff\uff00-\uffef][，。；：、！？）」』”]*|[^\s\u2e80-\u9fff\uff00-\uffef]+|\s+"
)
"""What is not broken: a Chinese letter with the marks behind it, a word, spaces."""


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most so many columns; a longer word has a line of its own."""
    lines, line = [], ""
    for piece in PIECES.findall(" ".join(text.split())):
        if line and cells(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() or not lines else lines
