"""Writes the page of error messages: all of them, by subject, and answers to the usual ones."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from building.error_messages import Message, messages
from building.error_rooms import HEADINGS, heading

READS = ("src/pixelwise", "docs/building")
CAUSES = Path(__file__).with_name("error_causes.yaml")
INTRODUCTION = """\
# Error messages

Every message has the same form and stands on one line: what was given, the rule, and behind a
semicolon what to do. The command line writes `error:` in front of it.

```text
error: crop='9by': must be HEIGHTxWIDTH in pixels; e.g. 256x320
error: recipe='adam': must be one of 'adamw', 'sgd'; did you mean 'adamw'?
```

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | ran and found something wrong, or met an error that nobody foresaw |
| 2 | wrong input: a message of this page |
| 130 | interrupted by Ctrl-C; what is saved, and how to go on, is told |
| 143 | ended from outside (SIGTERM); a training has saved its state |

`--debug` with any command shows where in the source an error came from. In Python all messages
of this page are `pixelwise.errors.InputError`, which is a `ValueError`. Nothing is lost by such an
error: it is raised before files are replaced.

**To find a message**, search this site or this page for words of it that are not yours, such as
"must be at least". Words in capital letters stand for what differs from case to case: names,
values, files. A slash between two texts means that one of them is said.

Some things are no error and still look wrong: a mean IoU that is `nan`, a network that says
background everywhere. [Questions and answers](faq.md) has them. A line that begins with `note` or
`warning` does not stop a command.

## The usual ones
"""


@dataclass(frozen=True)
class Cause:
    """What a person wrote about a message.

    Args:
        title: What it says in plain words.
        cause: Why it comes.
        remedy: What to do.
        see: Pages below docs.
    """

    title: str
    cause: str
    remedy: str
    see: tuple[str, ...]


def causes() -> dict[str, Cause]:
    """The usual messages: rule -> what was written about it."""
    found = yaml.safe_load(CAUSES.read_text(encoding="utf-8"))
    return {
        rule: Cause(entry["title"], entry["cause"], entry["remedy"], tuple(entry["see"]))
        for rule, entry in found.items()
    }


def write(source: Path) -> None:
    """Write `errors.md`.

    Args:
        source: Folder of the site's sources.
    """
    (source / "errors.md").write_text(page(messages(), causes()), encoding="utf-8")


def page(found: Iterable[Message], known: dict[str, Cause]) -> str:
    """The page as Markdown.

    Args:
        found: All messages.
        known: What was written about some of them, by rule.
    """
    by_heading: dict[str, dict[str, Message]] = {text: {} for text in HEADINGS.values()}
    for message in found:
        by_heading[heading(message.place)].setdefault(message.text, message)
    listed = {m.rule: m for texts in by_heading.values() for m in texts.values()}
    parts = [INTRODUCTION]
    parts += [_explained(listed[rule], cause) for rule, cause in known.items()]
    for text, of_heading in by_heading.items():
        if of_heading:
            entries = sorted(of_heading.values(), key=lambda m: m.text.lower())
            parts.append(f"## {text}\n")
            parts.append("\n".join(map(_entry, entries)) + "\n")
    return "\n".join(parts)


def _explained(message: Message, cause: Cause) -> str:
    links = ", ".join(f"[{Path(name).stem.replace('-', ' ')}]({name})" for name in cause.see)
    return (
        f"### {cause.title}\n\n[{code(message.rule)}](#{message.anchor})\n\n"
        f"{cause.cause.strip()}\n\n{cause.remedy.strip()} See {links}.\n"
    )


def _entry(message: Message) -> str:
    return f"- [{code(message.rule)}]{{#{message.anchor}}}\\\n  {code(message.remedy)}"


def code(text: str) -> str:
    """A text as inline code, whatever backticks it holds."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}"
