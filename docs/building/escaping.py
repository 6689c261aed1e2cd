"""Plain text in Markdown: what would be markup gets a backslash, and nothing else."""

import re

CODE = re.compile(r"(``.+?``|`[^`]+`)")
MARKUP = re.compile(
    r"(?P<star>\*+)|(?P<low>(?<!\w)_|_(?!\w))|(?P<link>\[(?=[^\]]*\]\())|(?P<tag><(?=[A-Za-z/!]))"
    r"|(?P<math>\$)|(?P<role>\{(?=[^}]*\}`))"
)


def escaped(text: str, *, cell: bool = False) -> str:
    """Text in which Markdown sees no markup but code between backticks.

    Args:
        text: one line.
        cell: whether it stands in a table, where a bar ends the cell.

    Returns:
        The text with backslashes.
    """
    parts = CODE.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = MARKUP.sub(lambda found: re.sub(r"(.)", r"\\\1", found[0]), parts[index])
    joined = "".join(parts)
    return re.sub(r"(?<!\\)\|", r"\\|", joined) if cell else joined
