"""Docstrings in Google's style as Markdown."""

import re
import textwrap

from building.escaping import escaped

SECTION = re.compile(r"^(?P<name>[A-Z][a-z]+(?: [a-z]+)?):$")
LISTED = {"Args": "Arguments", "Raises": "Raises"}
"""Sections that are a list of names with a text each -> how the page calls them."""
ENTRY = re.compile(r"^(?P<name>\*{0,2}[\w.]+)(?: \([^)]*\))?: ?(?P<text>.*)$")


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown.

    Args:
        docstring: cleaned, as `inspect.cleandoc` gives it.

    Returns:
        Paragraphs, then sections under bold names; lists of arguments are definition lists.
    """
    blocks = []
    for name, lines in _sections((docstring or "").splitlines()):
        text = textwrap.dedent("\n".join(lines)).strip("\n")
        if name is None:
            blocks.append(_paragraphs(text))
        elif name in LISTED:
            blocks.append(f"**{LISTED[name]}**\n\n{_entries(text)}")
        else:
            blocks.append(f"**{name}**\n\n{_paragraphs(text)}")
    return "\n\n".join(block for block in blocks if block)


def _sections(lines: list[str]) -> list[tuple[str | None, list[str]]]:
    """The parts of a docstring: a section's name, None for what stands in none, and its lines."""
    found: list[tuple[str | None, list[str]]] = [(None, [])]
    for number, line in enumerate(lines):
        heading = SECTION.match(line)
        below = next((after for after in lines[number + 1 :] if after.strip()), "")
        if heading and below.startswith(" "):
            found.append((heading["name"], []))
        elif line and not line.startswith(" ") and found[-1][0] is not None:
            found.append((None, [line]))
        else:
            found[-1][1].append(line)
    return found


def _entries(text: str) -> str:
    """`name: text` with lines further in, as a definition list."""
    found: list[list[str]] = []
    for line in text.splitlines():
        entry = None if line.startswith(" ") else ENTRY.match(line)
        if entry:
            found.append([entry["name"], entry["text"]])
        elif found:
            found[-1][1] += f" {line.strip()}"
        elif line.strip():
            found.append(["", line.strip()])
    return "\n\n".join(
        f"`{name}`\n: {escaped(text.strip())}" if name else escaped(text) for name, text in found
    )


def _paragraphs(text: str) -> str:
    """Paragraphs, each on one line; what is indented is code, what begins with a dash a list."""
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if not block.strip():
            continue
        if all(line.startswith("    ") for line in lines):
            blocks.append("```text\n" + textwrap.dedent(block) + "\n```")
            continue
        joined: list[str] = []
        for line in lines:
            if line.lstrip().startswith(("- ", "* ")) or not joined:
                joined.append(line.strip())
            else:
                joined[-1] += f" {line.strip()}"
        blocks.append("\n".join(escaped(line) for line in joined))
    return "\n\n".join(blocks)
